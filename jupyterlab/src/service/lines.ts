/** Reads a streamed body line by line. */

/** Split decoded chunks into whole lines; the last, unfinished one is never given out. */
export async function* lines(
  body: AsyncIterable<Uint8Array>
): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    const parts = rest.split('\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      if (part) {
        yield part;
      }
    }
  }
}

/** Make a browser's stream iterable everywhere; leaving early cancels it. */
export async function* chunks(
  stream: ReadableStream<Uint8Array>
): AsyncGenerator<Uint8Array, void, void> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

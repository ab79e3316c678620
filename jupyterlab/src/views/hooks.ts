import * as React from 'react';
import type { RoomModel } from '../models/room';

/** Render again whenever the room changes. */
export function useRoom(room: RoomModel): RoomModel {
  const [, again] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => room.onChange(again), [room]);
  return room;
}

/** Render again every `milliseconds`, for "3 minutes ago". */
export function useNow(milliseconds = 30_000): number {
  const [now, setNow] = React.useState(() => Date.now());
  React.useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), milliseconds);
    return () => clearInterval(timer);
  }, [milliseconds]);
  return now;
}

export interface Loaded<T> {
  value: T | null;
  error: unknown;
  /** Ask again. */
  reload: () => void;
}

/** Load something once per `key`, and again on demand; an answer that comes too late is dropped. */
export function useLoaded<T>(load: () => Promise<T>, key: string): Loaded<T> {
  const [state, setState] = React.useState<{ value: T | null; error: unknown }>({
    value: null,
    error: null
  });
  const [round, again] = React.useReducer((count: number) => count + 1, 0);
  React.useEffect(() => {
    let current = true;
    setState({ value: null, error: null });
    load().then(
      value => current && setState({ value, error: null }),
      (error: unknown) => current && setState({ value: null, error })
    );
    return () => {
      current = false;
    };
    // the key stands for what `load` would load
  }, [key, round]);
  return { ...state, reload: again };
}

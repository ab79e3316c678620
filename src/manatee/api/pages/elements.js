// Elements made of text: nothing that anybody wrote is ever read as markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "on") for (const [kind, act] of Object.entries(value)) made.addEventListener(kind, act);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value != null) made.setAttribute(key, value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

export const button = (text, act, attributes = {}) =>
  element("button", { type: "button", ...attributes, on: { click: act } }, text);

export function field(label, attributes) {
  const input = element("input", { id: `field-${attributes.name}`, ...attributes });
  return [element("label", { for: input.id }, label), input];
}

export function show(title, { narrow = false } = {}, ...children) {
  const main = document.getElementById("main");
  document.title = `${title} · ManaTEE`;
  main.className = narrow ? "narrow" : "";
  main.replaceChildren(element("h1", {}, title), ...children.flat().filter(Boolean));
  main.focus();
}

export function form(act, ...children) {
  const problem = element("p", { class: "problem", role: "alert", hidden: true });
  const made = element("form", {}, problem, ...children);
  made.addEventListener("submit", async (event) => {
    event.preventDefault();
    const buttons = made.querySelectorAll("button");
    buttons.forEach((item) => (item.disabled = true));
    problem.hidden = true;
    try {
      await act(Object.fromEntries(new FormData(made)));
    } catch (error) {
      problem.textContent = error.message;
      problem.hidden = false;
    } finally {
      buttons.forEach((item) => (item.disabled = false));
    }
  });
  return made;
}

export const fail = (error) =>
  element("p", { class: "problem", role: "alert" }, error.message);

// What the pages share: elements, requests with the token, and the links to the other parts.
// Texts of data are only ever set as text, and styles only as single properties: the page's policy forbids anything else.

export const at = id => document.getElementById(id);

export const element = (name, attributes = {}, ...children) => {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== null && value !== false) made.setAttribute(key, value);
  made.append(...children.filter(child => child !== null && child !== undefined));
  return made;
};

export const percent = value => value == null ? "–" : (100 * value).toFixed(1) + " %";

const looksLikeCode = text => text.includes("```") || (text.match(/^(?: {4}|\t)\S/gm) ?? []).length > 2;

export const fill = (box, text) => {
  box.textContent = text;
  box.classList.add("text");
  box.classList.toggle("code", looksLikeCode(text));
  return box;
};

export const textBox = text => fill(element("div"), text);

/** A share as a bar; its number stands beside it. */
export const shareBar = value => {
  const bar = element("i");
  bar.style.width = `${100 * (value ?? 0)}%`;
  return element("div", {class: "share", "aria-hidden": "true"}, bar);
};

/** A share with its interval. */
export const range = (value, low, high) => {
  if (value == null) return document.createTextNode("–");
  const box = element("div", {class: "range", role: "img", "aria-label": low == null ? percent(value)
    : `${percent(value)}, 95 % interval ${percent(low)} to ${percent(high)}`});
  const bar = element("i"), point = element("b");
  bar.style.left = `${100 * (low ?? value)}%`;
  bar.style.width = `${100 * ((high ?? value) - (low ?? value))}%`;
  point.style.left = `calc(${100 * value}% - 1px)`;
  box.append(bar, point);
  return box;
};

export const say = (box, text, error = false) => {
  box.textContent = text;
  box.classList.toggle("error", error);
};

const TOKEN = "gramr2-token";
let waiting = null;

const askToken = () => waiting ??= new Promise(resolve => {
  const input = element("input", {id: "token", type: "password", autocomplete: "current-password", required: ""});
  const form = element("form", {method: "dialog"}, element("label", {for: "token"}, "The server's token"), input,
    element("button", {class: "act"}, "Go on"));
  const dialog = element("dialog", {"aria-label": "Token"}, form);
  dialog.addEventListener("cancel", event => event.preventDefault());
  form.addEventListener("submit", event => {
    event.preventDefault();
    sessionStorage.setItem(TOKEN, input.value.trim());
    dialog.close();
    dialog.remove();
    waiting = null;
    resolve();
  });
  document.body.append(dialog);
  dialog.showModal();
});

const GONE = "The server does not answer: is it still running?";

const whole = text => text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

const sentence = (told, status) => {
  const detail = told?.detail;
  if (typeof detail === "string") return whole(detail);
  if (Array.isArray(detail) && detail.length) return `${detail[0].loc?.slice(1).join(", ") || "The request"}: ${detail[0].msg}.`;
  return `The server answered ${status}.`;
};

const fetched = async (path, body, signal) => {
  for (;;) {
    const headers = {"x-gramr2-page": "1"}, token = sessionStorage.getItem(TOKEN);
    if (token) headers.authorization = `Bearer ${token}`;
    if (body !== undefined) headers["content-type"] = "application/json";
    let answer;
    try {
      answer = await fetch(path, {method: body === undefined ? "GET" : "POST", headers, body: JSON.stringify(body), signal});
    } catch (error) {
      throw error.name === "AbortError" ? error : new Error(GONE);
    }
    if (answer.status === 401) {
      await askToken();
      continue;
    }
    if (!answer.ok) throw new Error(sentence(await answer.json().catch(() => null), answer.status));
    return answer;
  }
};

/** The JSON that a path answers; with a body it is a POST. Throws an Error whose message is one sentence. */
export const ask = async (path, body) => (await fetched(path, body)).json();

/** The events that a path answers a body with, one after the other. Throws as `ask` does, and an AbortError after the signal. */
export const follow = async function* (path, body, signal) {
  const reader = (await fetched(path, body, signal)).body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const {done, value} = await reader.read().catch(error => { throw error.name === "AbortError" ? error : new Error(GONE); });
      if (done) break;
      const parts = (rest + value).split("\n\n");
      rest = parts.pop();
      for (const part of parts) {
        const told = JSON.parse(part.slice("data: ".length));
        if (told.error) throw new Error(whole(told.error));
        yield told;
      }
    }
  } finally {
    // Who stops listening hangs up.
    reader.cancel().catch(() => {});
  }
};

/** A figure of the server as an image, in the colours of the moment. */
export const figure = async (path, text) => {
  const ink = matchMedia("(prefers-color-scheme: dark)").matches ? "light" : "dark";
  const drawn = await (await fetched(`${path}?ink=${ink}`)).blob();
  return element("img", {src: URL.createObjectURL(drawn), alt: text});
};

const NAMES = {label: "Label", runs: "Runs", play: "Playground"};

/** The links to all parts, this one marked. */
export const begin = async part => {
  const about = await ask("/ui/about");
  at("nav").replaceChildren(...about.parts.map(each =>
    element("a", {href: `/${each}`, "aria-current": each === part ? "page" : null}, NAMES[each])));
  at("nav").hidden = about.parts.length < 2;
  return about;
};

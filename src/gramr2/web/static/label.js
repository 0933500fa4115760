// Labelling: one comparison at a time, answered by button or key. Every answer is on the server's disk before the next is shown.
import {at, ask, begin, element, fill, percent, range, say, textBox} from "/static/common.js";

const KEYS = {a: "answer-a", b: "answer-b", t: "answer-tie", s: "answer-skip", u: "undo", r: "give-reason"};
const TOLD = {A: "A is better", B: "B is better", tie: "a tie", skip: "skipped"};
let state = null, busy = true;

const draw = () => {
  const item = state.item;
  const left = state.total - state.labelled - state.skipped;
  at("counts").textContent = `${state.labelled} labelled, ${state.skipped} skipped, ${left} left`
    + ` · saved in ${state.out}${state.annotator ? ` by ${state.annotator}` : ""}`;
  at("progress").max = state.total;
  at("progress").value = state.labelled + state.skipped;
  at("work").hidden = item === null;
  at("end").hidden = item !== null;
  if (item) {
    fill(at("prompt"), item.prompt);
    fill(at("a"), item.responses[0]);
    fill(at("b"), item.responses[1]);
    at("opinion").hidden = !item.opinion;
    if (item.opinion) {
      at("opinion-label").textContent = item.opinion.label ? `It says: ${TOLD[item.opinion.label]}.` : "It could not decide.";
      fill(at("opinion-text"), item.opinion.rationale ?? "");
      at("opinion-text").hidden = !item.opinion.rationale;
    }
  }
  at("reason").value = item?.reason ?? "";
  if (item?.reason) openReason(true);
  for (const id of ["answer-a", "answer-b", "answer-tie", "answer-skip"]) at(id).disabled = item === null;
  at("undo").disabled = !state.undo;
  at("agreement").hidden = !(state.compared && state.labelled);
};

const openReason = open => {
  at("reason-box").hidden = !open;
  at("give-reason").setAttribute("aria-expanded", String(open));
};

// One change at a time: a key that is pressed while an answer is on its way is not meant for what it brings.
const change = async (made, told) => {
  if (busy) return;
  busy = true;
  try {
    state = await made();
    say(at("message"), told);
    openReason(false);
    draw();
    scrollTo(0, 0);
    if (at("agreement").open) agreed();
  } catch (error) {
    // What was written may be shown by now, or answered in another window; a server that is gone changes nothing.
    const asked = state?.item?.id;
    state = await ask("/ui/label").catch(() => state);
    const reason = at("reason").value;
    draw();
    if (state.item?.id === asked) at("reason").value = reason;
    // Told last: who reads it may answer again at once.
    say(at("message"), error.message, true);
  } finally {
    busy = false;
  }
};

const answer = verdict => {
  const id = state?.item?.id;
  if (id === undefined) return;
  change(() => ask("/ui/label", {id, verdict, reason: at("reason").value}), `Saved: ${TOLD[verdict]}.`);
};

const shareRow = (name, share) => element("tr", {}, element("th", {scope: "row"}, name),
  element("td", {class: "n"}, `${share.same} of ${share.decided}`),
  element("td", {class: "n"}, percent(share.share)),
  element("td", {}, share.low == null ? "–" : range(share.share, share.low, share.high)),
  element("td", {class: "n"}, share.kappa == null ? "–" : share.kappa.toFixed(2)));

const REASON = {ab: "Your reason", ba: "Your reason, whose A is Response B of the data"};

const disagreement = each => element("details", {}, element("summary", {},
    element("b", {}, `${each.label} against ${each.other}`), ` · ${each.prompt.slice(0, 120)}`),
  element("h3", {}, "Prompt"), textBox(each.prompt),
  element("div", {class: "pair"}, ...each.responses.map((text, i) => element("div", {}, element("h3", {}, `Response ${"AB"[i]} of the data`), textBox(text)))),
  element("p", {}, `Your label: ${each.label}. The other: ${each.other}.`),
  ...(each.reason ? [element("h3", {}, REASON[each.reason_order]), textBox(each.reason)] : []),
  ...(each.rationale ? [element("h3", {}, "The judge's rationale"), textBox(each.rationale)] : []));

const table = each => {
  const left = each.all.n - each.all.decided;
  const head = ["", "same", "share", "95 % interval", "κ"];
  return element("section", {},
    element("h3", {}, `Compared with ${each.other}`),
    element("div", {class: "wide", tabindex: "0", role: "region", "aria-label": "Agreement"}, element("table", {},
      element("tr", {}, ...head.map((name, i) => i ? element("th", {scope: "col", class: i === 3 ? null : "n"}, name) : element("td"))),
      shareRow("random ones", each.random), shareRow("all", each.all))),
    element("p", {class: "muted"}, "The random ones speak for the whole file. The others were chosen because the judge was unsure of them, "
      + "so it agrees with people less often there." + (left ? ` It decided nothing on ${left}.` : "")),
    ...(each.disagreements.length ? [element("h3", {}, `${each.disagreements.length} labelled otherwise`), ...each.disagreements.map(disagreement)] : []));
};

// Not waited for: the next answer may be given meanwhile, and only what was asked last is shown.
let tables = 0;
const agreed = async () => {
  const mine = ++tables;
  try {
    const found = await ask("/ui/label/agreement");
    if (mine === tables) at("agreed").replaceChildren(...found.map(table));
  } catch (error) {
    if (mine === tables) say(at("message"), error.message, true);
  }
};

for (const [id, verdict] of [["answer-a", "A"], ["answer-b", "B"], ["answer-tie", "tie"], ["answer-skip", "skip"]])
  at(id).addEventListener("click", () => answer(verdict));
at("undo").addEventListener("click", () => { if (state?.undo) change(() => ask("/ui/label/undo", {}), "The last answer is taken back."); });
at("give-reason").addEventListener("click", () => {
  openReason(at("reason-box").hidden);
  if (!at("reason-box").hidden) at("reason").focus();
});
at("agreement").addEventListener("toggle", () => { if (at("agreement").open) agreed(); });

addEventListener("keydown", event => {
  if (event.target === at("reason")) {
    if (event.key === "Escape") at("reason").blur();
    return;
  }
  // A key that is held down must not label what follows.
  if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, dialog")) return;
  const button = KEYS[event.key.toLowerCase()];
  if (!button || at(button).disabled) return;
  event.preventDefault();
  at(button).click();
});

try {
  await begin("label");
  state = await ask("/ui/label");
  draw();
  busy = false;
} catch (error) {
  say(at("message"), error.message, true);
}

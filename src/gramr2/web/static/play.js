// The playground: a prompt and two responses, or a ranking of up to eight, with everything that the judge said.
import {at, ask, begin, element, fill, percent, range, say, shareBar, textBox} from "/static/common.js";

const MOST = 8;
const EXAMPLE = {
  prompt: "My tap water stood in a glass by the bed overnight. Is it safe to drink?",
  responses: [
    "Yes. It only tastes a little stale, because some of the dissolved gas has left it. If it stood uncovered, dust may have got in, which does a healthy person no harm.",
    "No, water that has stood for hours breeds the worst diseases. Pour it away with gloves on and watch yourself for fever.",
  ],
};

const boxes = () => [...at("responses").querySelectorAll("textarea")];

const number = () => {
  const all = [...at("responses").children];
  all.forEach((box, i) => {
    box.querySelector("label").textContent = `Response ${i + 1}`;
    const remove = box.querySelector("button");
    remove.hidden = all.length <= 2;
    remove.setAttribute("aria-label", `Remove response ${i + 1}`);
  });
  at("add").disabled = all.length >= MOST;
};

let made = 0;
const add = (text = "") => {
  const id = `response-${++made}`;
  const area = element("textarea", {id, rows: "6"}), remove = element("button", {type: "button"}, "Remove");
  area.value = text;
  const box = element("div", {class: "response"}, element("div", {}, element("label", {for: id}), remove), area);
  remove.addEventListener("click", () => { box.remove(); number(); at("add").focus(); });
  at("responses").append(box);
  number();
  return area;
};

const seed = () => Number.parseInt(at("seed").value, 10) || 0;

/** All that is asked about a pair, by the numbers of its responses. A rationale that streams would arrive here. */
const judged = (prompt, responses, numbers) => ask("/ui/judge", {prompt, responses: numbers.map(n => responses[n - 1]), numbers, seed: seed()});

const called = (label, [first, second]) => label === "tie" ? "a tie" : label === "A" ? `response ${first}` : `response ${second}`;

const beliefs = (p, [first, second]) => element("div", {class: "beliefs"},
  ...[[`Response ${first}`, p.A], ["Tie", p.tie], [`Response ${second}`, p.B]].flatMap(([name, value]) =>
    [element("span", {}, name), shareBar(value), element("span", {class: "n"}, percent(value))]));

const READ = {direct: "read at once", reasoned: "after the rationale", second_view: "second view"};

const vote = (each, numbers) => {
  const p = each.probabilities;
  const outcome = ["A", "B", "tie"].includes(each.outcome) ? `For ${called(each.outcome, numbers)}` : `No verdict: ${each.outcome}`;
  const box = element("div", {class: "vote"}, element("p", {}, element("b", {}, outcome),
    element("span", {class: "muted"}, ` · ${READ[each.reading] ?? each.reading}${each.tokens ? `, ${each.tokens} tokens` : ""}`)));
  if (p) box.append(element("p", {class: "muted"}, `Response ${numbers[0]} ${percent(p.A)}, tie ${percent(p.tie)}, response ${numbers[1]} ${percent(p.B)}`));
  if (each.rationale) box.append(textBox(each.rationale));
  if (each.error) box.append(element("p", {class: "bad"}, each.error));
  return box;
};

const order = (found, name, numbers) => {
  const [first, second] = name === "ab" ? numbers : [numbers[1], numbers[0]];
  const votes = found.votes.filter(each => each.order === name);
  return element("section", {class: "order"}, element("h3", {}, `Response ${first} shown first`),
    element("p", {class: "muted"}, `The judge called it A, and response ${second} B.`),
    ...(votes.length ? votes.map(each => vote(each, numbers)) : [element("p", {}, "Not asked in this order.")]));
};

const verdict = (found, numbers) => {
  if (found.label === "tie") return "It is a tie";
  if (found.label) return `${called(found.label, numbers)[0].toUpperCase()}${called(found.label, numbers).slice(1)} is better`;
  return "The judge gave no verdict";
};

const showPair = (found, numbers) => {
  const p = found.probabilities, [top, next] = p ? Object.values(p).sort((a, b) => b - a) : [];
  const facts = [
    p ? `Margin ${percent(top - next)}` : null,
    found.agreement == null ? null : `Agreement of the votes ${percent(found.agreement)}`,
    found.order_flip == null ? "The orders were not both decided" : found.order_flip ? "The two orders disagree" : "The two orders agree",
    found.coverage < 1 ? `${percent(1 - found.coverage)} of the votes failed` : null,
  ].filter(Boolean);
  const readings = Object.entries(found.readings);
  const title = element("h2", {id: "result-title", class: "big", tabindex: "-1"}, verdict(found, numbers));
  at("result").replaceChildren(title, ...(p ? [beliefs(p, numbers)] : []),
    element("ul", {class: "facts muted"}, ...facts.map(fact => element("li", {class: fact.endsWith("disagree") ? "bad" : null}, fact))),
    ...(readings.length > 1 ? readings.map(([name, each]) => element("p", {class: "muted"},
      `By itself, ${READ[name] ?? name}: response ${numbers[0]} ${percent(each.A)}, tie ${percent(each.tie)}, response ${numbers[1]} ${percent(each.B)}`)) : []),
    element("div", {class: "pair"}, order(found, "ab", numbers), order(found, "ba", numbers)));
  at("result").hidden = false;
  title.focus();
};

const place = (each, most) => element("tr", {}, element("td", {class: "n"}, each.rank ?? "–"),
  element("th", {scope: "row"}, each.index + 1),
  element("td", {class: "n"}, each.score == null ? "–" : each.score.toFixed(2)),
  element("td", {}, each.score == null ? "–" : range((each.score + most) / (2 * most), each.low == null ? null : (each.low + most) / (2 * most),
    each.high == null ? null : (each.high + most) / (2 * most))));

const showRanking = (ranking, prompt, responses) => {
  const most = Math.max(1, ...ranking.places.flatMap(each => [each.score, each.low, each.high]).filter(value => value != null).map(Math.abs));
  const title = element("h2", {id: "ranking-title", class: "big", tabindex: "-1"},
    ranking.best == null ? "The judge decided nothing" : `Response ${ranking.best + 1} is best`);
  const pairs = ranking.matches.map(([first, second, result]) => {
    const numbers = [first + 1, second + 1];
    const told = result == null ? "no verdict" : result > .5 ? `${numbers[0]} wins` : result < .5 ? `${numbers[1]} wins` : "level";
    const button = element("button", {type: "button"}, `${numbers[0]} against ${numbers[1]}: ${told}`);
    button.addEventListener("click", () => working(async () => showPair(await judged(prompt, responses, numbers), numbers)));
    return button;
  });
  at("ranking").replaceChildren(title,
    element("div", {class: "wide", tabindex: "0", role: "region", "aria-label": "Ranking"}, element("table", {},
      element("tr", {}, ...["rank", "response", "strength", "from weak to strong"].map((name, i) =>
        element("th", {scope: "col", class: i === 0 || i === 2 ? "n" : null}, name))),
      ...ranking.places.map(each => place(each, most)))),
    ...(ranking.cycles ? [element("p", {}, `${ranking.cycles} of ${ranking.triples} triples beat each other in a circle.`)] : []),
    element("h3", {}, "Each against each"), element("div", {class: "actions"}, ...pairs));
  at("ranking").hidden = false;
  title.focus();
};

// One question at a time.
let busy = false;
const working = async asked => {
  if (busy) return;
  busy = true;
  const began = performance.now();
  at("form").setAttribute("aria-busy", "true");
  say(at("message"), "The judge is reading …");
  try {
    await asked();
    say(at("message"), `Answered in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  } catch (error) {
    say(at("message"), error.message, true);
  } finally {
    busy = false;
    at("form").removeAttribute("aria-busy");
  }
};

const submit = () => working(async () => {
  const prompt = at("prompt").value, responses = boxes().map(each => each.value);
  if (!prompt.trim()) throw new Error("Write a prompt first.");
  at("ranking").hidden = at("result").hidden = true;
  if (responses.length === 2) showPair(await judged(prompt, responses, [1, 2]), [1, 2]);
  else showRanking((await ask("/v1/rank", {prompt, responses, seed: seed()})).ranking, prompt, responses);
});

at("form").noValidate = true;
at("form").addEventListener("submit", event => { event.preventDefault(); submit(); });
at("form").addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); } });
at("add").addEventListener("click", () => add().focus());

at("prompt").value = EXAMPLE.prompt;
EXAMPLE.responses.forEach(text => add(text));
try {
  await begin("play");
  for (let told = {}; !told.judge;) {
    told = await ask("/ui/play");
    at("judge").textContent = told.judge ?? "The judge is being loaded …";
    if (!told.judge) await new Promise(later => setTimeout(later, 1000));
  }
} catch (error) {
  say(at("message"), error.message, true);
}

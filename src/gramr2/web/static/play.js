// The playground: a prompt and two responses, or a ranking of up to eight, with everything that the judge said.
import {at, ask, begin, element, follow, percent, range, say, shareBar, textBox} from "/static/common.js";

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

/** What a path answers at the end; `told` gets every event before. */
const answered = async (path, body, signal, told) => {
  for await (const each of follow(path, body, signal)) {
    const last = each.decision ?? each.ranking;
    if (last) return last;
    told(each);
  }
  throw new Error("The server ended its answer early: its log says why.");
};

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

const order = (name, numbers, ...votes) => {
  const [first, second] = name === "ab" ? numbers : [numbers[1], numbers[0]];
  return element("section", {class: "order"}, element("h3", {}, `Response ${first} shown first`),
    element("p", {class: "muted"}, `The judge called it A, and response ${second} B.`), ...votes);
};

const orderOf = (found, name, numbers) => {
  const votes = found.votes.filter(each => each.order === name);
  return order(name, numbers, ...(votes.length ? votes.map(each => vote(each, numbers)) : [element("p", {}, "Not asked in this order.")]));
};

/** Shows a result under its title, which stays where it is, with the focus, while a pair is asked about; returns the title. */
const put = (told, ...content) => {
  const title = at("result-title") ?? element("h2", {id: "result-title", class: "big", tabindex: "-1"});
  title.textContent = told;
  if (!title.parentNode) at("result").append(title);
  while (title.nextSibling) title.nextSibling.remove();
  title.after(...content);
  at("result").hidden = false;
  return title;
};

/** A pair whose rationales are still being written, in the places where they will stay. */
const writing = numbers => {
  const orders = {ab: order("ab", numbers), ba: order("ba", numbers)}, texts = {};
  const title = put("The judge is writing …", beliefs({}, numbers), element("div", {class: "pair"}, orders.ab, orders.ba));
  // Who is about to stop it is not taken elsewhere.
  if (document.activeElement !== at("stop")) title.focus();
  at("result").setAttribute("aria-busy", "true");
  return ({order: name, sample, text}) => {
    let shown = texts[name + sample];
    if (!shown) {
      shown = texts[name + sample] = textBox("");
      orders[name].append(element("div", {class: "vote"}, element("p", {}, element("b", {}, "No verdict yet")), shown));
    }
    shown.append(text);
  };
};

const verdict = (found, numbers) => {
  if (found.label === "tie") return "It is a tie";
  if (found.label) return `${called(found.label, numbers)[0].toUpperCase()}${called(found.label, numbers).slice(1)} is better`;
  return "The judge gave no verdict";
};

/** Asks about a pair, by the numbers of its responses, and shows it while the judge writes. */
const judgePair = async (prompt, responses, numbers, signal) => {
  const body = {prompt, responses: numbers.map(n => responses[n - 1]), numbers, seed: seed()};
  let write = null;
  try {
    const found = await answered("/ui/judge", body, signal, each => (write ??= writing(numbers))(each.written));
    const title = showPair(found, numbers);
    // Who reads what was written is left where they are.
    if (!write) title.focus();
    return `${verdict(found, numbers)}.`;
  } catch (error) {
    if (write) at("result-title").textContent = "The judge did not finish";
    else at("result").hidden = true;
    throw error;
  } finally {
    at("result").removeAttribute("aria-busy");
  }
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
  return put(verdict(found, numbers), ...(p ? [beliefs(p, numbers)] : []),
    element("ul", {class: "facts muted"}, ...facts.map(fact => element("li", {class: fact.endsWith("disagree") ? "bad" : null}, fact))),
    ...(readings.length > 1 ? readings.map(([name, each]) => element("p", {class: "muted"},
      `By itself, ${READ[name] ?? name}: response ${numbers[0]} ${percent(each.A)}, tie ${percent(each.tie)}, response ${numbers[1]} ${percent(each.B)}`)) : []),
    element("div", {class: "pair"}, orderOf(found, "ab", numbers), orderOf(found, "ba", numbers)));
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
    button.addEventListener("click", () => working(signal => judgePair(prompt, responses, numbers, signal)));
    return button;
  });
  at("ranking").replaceChildren(title,
    element("div", {class: "wide", tabindex: "0", role: "region", "aria-label": "Ranking"}, element("table", {},
      element("tr", {}, ...["rank", "response", "strength", "weak to strong"].map((name, i) =>
        element("th", {scope: "col", class: i === 0 || i === 2 ? "n" : null}, name))),
      ...ranking.places.map(each => place(each, most)))),
    ...(ranking.cycles ? [element("p", {}, `${ranking.cycles} of ${ranking.triples} triples beat each other in a circle.`)] : []),
    element("h3", {}, "Each against each"), element("div", {class: "actions"}, ...pairs));
  at("ranking").hidden = false;
  title.focus();
};

/** Asks for a ranking, and shows how many pairs are compared. */
const judgeAll = async (prompt, responses, signal) => {
  const bar = element("progress", {"aria-label": "Pairs compared", max: "1", value: "0"}), count = element("p", {class: "muted"});
  at("ranking").replaceChildren(element("h2", {id: "ranking-title", class: "big"}, "Each against each"), bar, count);
  try {
    const ranking = await answered("/ui/rank", {prompt, responses, seed: seed()}, signal, ({pairs: [done, total]}) => {
      at("ranking").hidden = false;
      bar.value = done / Math.max(1, total);
      count.textContent = `${done} of ${total} pairs`;
    });
    showRanking(ranking, prompt, responses);
  } catch (error) {
    at("ranking").hidden = true;
    throw error;
  }
  return `${at("ranking-title").textContent}.`;
};

// One question at a time; what ends it is the only part of the answer that is announced.
let asking = null;
const working = async asked => {
  if (asking) return;
  asking = new AbortController();
  const began = performance.now();
  at("form").setAttribute("aria-busy", "true");
  at("stop").hidden = false;
  say(at("message"), "The judge is at work …");
  try {
    const told = await asked(asking.signal);
    say(at("message"), `${told} Answered in ${((performance.now() - began) / 1000).toFixed(1)} s.`);
  } catch (error) {
    if (error.name === "AbortError") say(at("message"), "Stopped.");
    else say(at("message"), error.message, true);
  } finally {
    asking = null;
    at("form").removeAttribute("aria-busy");
    if (document.activeElement === at("stop")) at("judge-it").focus();
    at("stop").hidden = true;
  }
};

const submit = () => working(async signal => {
  const prompt = at("prompt").value, responses = boxes().map(each => each.value);
  if (!prompt.trim()) throw new Error("Write a prompt first.");
  at("ranking").hidden = at("result").hidden = true;
  return responses.length === 2 ? judgePair(prompt, responses, [1, 2], signal) : judgeAll(prompt, responses, signal);
});

at("form").noValidate = true;
at("form").addEventListener("submit", event => { event.preventDefault(); submit(); });
at("form").addEventListener("keydown", event => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); submit(); } });
at("add").addEventListener("click", () => add().focus());
at("stop").addEventListener("click", () => asking?.abort());

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

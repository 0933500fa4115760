// The run browser: the list, a run, a round's comparisons, one comparison. What is shown stands in the address, so that it can be shared.
import {at, ask, begin, element, figure, percent, range, say, textBox} from "/static/common.js";

const here = () => new URLSearchParams(location.hash.slice(1));
const link = (words, text) => element("a", {href: `#${new URLSearchParams(words)}`}, text);
const show = (title, ...content) => {
  at("title").textContent = title;
  at("content").replaceChildren(...content);
};
const scrolled = (label, ...content) => element("div", {class: "wide", tabindex: "0", role: "region", "aria-label": label}, ...content);
const heads = (...names) => element("tr", {}, ...names.map(name => element("th", {scope: "col", class: name.endsWith("#") ? "n" : null}, name.replace("#", ""))));
const cell = text => element("td", {class: "n"}, text);
const gold = each => each ? `${percent(each.accuracy)}` : "–";
const interval = each => element("td", {}, each ? range(each.accuracy, each.low, each.high) : "–");

const list = async () => {
  const runs = await ask("/ui/runs");
  at("back").replaceChildren();
  show("Runs", scrolled("Runs", element("table", {},
    heads("run", "last judge#", "0 to 100 % on gold", "state", "seed judge#", "rounds#", "model", "seed#"),
    ...runs.map((each, run) => each.error
      ? element("tr", {}, element("th", {scope: "row"}, each.name), element("td", {colspan: "7", class: "bad"}, each.error))
      : element("tr", {}, element("th", {scope: "row"}, link({run}, each.name)), cell(gold(each.last)), interval(each.last),
        element("td", {}, each.finished ? "finished" : "under way"), cell(gold(each.first)), cell(each.rounds), element("td", {}, each.model), cell(each.seed))))));
};

const step = (each, total) => {
  const bar = element("span", {class: "flow", role: "img", "aria-label": `${each.name} drops ${each.taken}, leaves ${each.left}`});
  for (const [name, value] of [["left", each.left], ["out", each.taken]]) {
    const part = element("span", {class: name});
    part.style.width = `${100 * value / total}%`;
    bar.append(part);
  }
  return element("div", {class: "step"}, element("span", {}, each.name), bar,
    element("span", {class: "n"}, each.taken ? `−${each.taken} → ${each.left}` : `${each.left}`));
};

const roundPart = (run, each) => {
  if (!each.flow.length) return null;
  const told = Object.entries(each.thresholds).map(([name, value]) => `${name} ${value}`).join(", ");
  return element("section", {}, element("h2", {}, `${each.title[0].toUpperCase()}${each.title.slice(1)}: what became of the pool`),
    ...each.flow.map(one => step(one, each.flow[0].left)),
    ...(told ? [element("p", {class: "muted"}, `Thresholds: ${told}.`)] : []),
    element("p", {}, link({run, round: each.number}, `All ${each.flow[0].left} comparisons of ${each.title}`)));
};

const oneRun = async run => {
  const found = await ask(`/ui/runs/${run}`);
  at("back").replaceChildren(link({}, "All runs"));
  const plot = found.plotted ? [scrolled("Figure", element("div", {class: "plot"},
    await figure(`/ui/runs/${run}/accuracy.svg`, "Gold accuracy by round, with 95 % intervals; the table below has the numbers")))] : [];
  show(found.name,
    element("p", {class: "muted"}, `Self-training of ${found.model}, seed ${found.seed}, rationales: ${found.rationales}. ${found.finished ? "Finished." : "Under way: these are the results so far."}`),
    ...found.warnings.map(text => element("div", {class: "alarm"}, text)),
    ...(found.alarms.length ? [element("details", {}, element("summary", {}, `${found.alarms.length} alarms of single rounds`),
      ...found.alarms.map(each => element("div", {class: "alarm"}, element("b", {}, `${each.round}: `), each.message)))] : []),
    element("h2", {}, "Accuracy on gold"), ...plot,
    scrolled("Accuracy by round", element("table", {}, heads("judge", "n#", "accuracy#", "0 to 100 %", "order flips#", "coverage#", "trained on#", "verdict"),
      ...found.rounds.map(each => element("tr", {}, element("th", {scope: "row"}, each.title), cell(each.gold?.n ?? "–"), cell(gold(each.gold)), interval(each.gold),
        cell(percent(each.gold?.order_flip_rate)), cell(percent(each.gold?.coverage)), cell(each.trained_on ?? "–"), element("td", {}, each.verdict ?? "–"))))),
    element("p", {class: "muted"}, `95 % intervals, over decided comparisons.${found.longer == null ? "" : ` Always choosing the longer response is right on ${percent(found.longer)}.`}`),
    ...found.rounds.map(each => roundPart(run, each)).filter(Boolean));
};

const line = (run, round, each) => {
  const item = element("div", {class: "item"}), words = new URLSearchParams(here());
  words.set("id", each.id);
  item.append(element("a", {href: `#${words}`},
    element("span", {class: `tag ${each.kept ? "kept" : "dropped"}`}, each.kept ? "kept" : "dropped"),
    element("span", {}, `${each.label ?? "–"}${each.order_flip ? " ⇄" : ""}`),
    element("span", {class: "n"}, each.confidence == null ? "–" : each.confidence.toFixed(2)),
    element("span", {class: "prompt"}, each.prompt),
    ...(each.kept ? [] : [element("span", {class: "why muted"}, each.fate)])));
  return item;
};

const comparisons = async (run, round) => {
  const words = here(), fate = words.get("fate") ?? "", text = words.get("text") ?? "";
  const part = (fate, words, start) => ask(`/ui/runs/${run}/rounds/${round}?${new URLSearchParams({fate, words, start})}`);
  const found = await part(fate, text, 0);
  at("back").replaceChildren(link({run}, "Back to the run"));
  const select = element("select", {id: "fate"}, ...[["", `all (${found.of})`], ["kept", `kept (${found.kept})`], ["dropped", `dropped (${found.of - found.kept})`],
    ...Object.entries(found.filters).map(([name, n]) => [name, `dropped by ${name} (${n})`])].map(([value, name]) => element("option", {value}, name)));
  const search = element("input", {id: "text", type: "search", placeholder: "Search", "aria-label": "Search in ids, prompts, responses and rationales"});
  select.value = fate;
  search.value = text;
  const go = () => {
    const next = new URLSearchParams({run, round});
    if (select.value) next.set("fate", select.value);
    if (search.value) next.set("text", search.value);
    history.replaceState(null, "", `#${next}`);
    return refresh();
  };
  const rows = element("div"), count = element("span", {class: "muted", role: "status"}), more = element("button", {}, "Show more");
  const put = (told, fresh) => {
    if (fresh) rows.replaceChildren();
    rows.append(...told.rows.map(each => line(run, round, each)));
    count.textContent = `${told.count} of ${told.of}`;
    more.hidden = rows.children.length >= told.count;
  };
  let asked = 0;
  const refresh = async () => {
    const mine = ++asked;
    try {
      const told = await part(select.value, search.value, 0);
      if (mine === asked) put(told, true);
    } catch (error) {
      say(at("message"), error.message, true);
    }
  };
  more.addEventListener("click", async () => {
    try {
      put(await part(select.value, search.value, rows.children.length), false);
    } catch (error) {
      say(at("message"), error.message, true);
    }
  });
  select.addEventListener("input", go);
  search.addEventListener("input", go);
  const figures = await Promise.all(["confidence", "agreement"].map(key =>
    figure(`/ui/runs/${run}/rounds/${round}/${key}.svg`, `Histogram of ${key}, kept and dropped comparisons`).catch(() => null)));
  show(`Round ${round}: comparisons`, element("div", {class: "figures"}, ...figures.filter(Boolean)),
    element("div", {class: "tools"}, element("label", {for: "fate"}, "Show"), select, search, count), rows, element("p", {}, more));
  put(found, true);
};

const belief = p => p ? ` · A ${percent(p.A)}, B ${percent(p.B)}, tie ${percent(p.tie)}` : "";
const order = (found, name) => {
  const votes = found.votes.filter(vote => vote.order === name);
  return element("section", {}, element("h3", {}, name === "ab" ? "Shown as stored" : "Shown in the other order: its “Response A” is B here"),
    ...votes.map(vote => element("div", {class: "vote"},
      element("p", {}, element("b", {}, vote.outcome), ` ${vote.reading === "direct" ? "(direct)" : ""}${belief(vote.probabilities)}`),
      ...(vote.rationale ? [textBox(vote.rationale)] : []))),
    ...(votes.length ? [] : [element("p", {class: "muted"}, "no votes")]));
};

const comparison = async (run, round, id) => {
  const found = await ask(`/ui/runs/${run}/rounds/${round}/one?${new URLSearchParams({id})}`);
  const back = here();
  back.delete("id");
  at("back").replaceChildren(element("a", {href: `#${back}`}, `Back to round ${round}`));
  const flip = found.order_flip === null ? "the orders were not both decided" : found.order_flip ? "the orders disagree" : "the orders agree";
  const number = value => value == null ? "–" : value.toFixed(3);
  show(found.id,
    element("p", {}, element("span", {class: `tag ${found.kept ? "kept" : "dropped"}`}, found.kept ? "Kept" : "Dropped"), `: ${found.fate}`),
    element("h2", {}, "Prompt"), textBox(found.prompt),
    element("div", {class: "pair"}, ...found.responses.map((text, i) => element("section", {class: found.label === "AB"[i] ? "better" : null},
      element("h2", {}, `Response ${"AB"[i]}${found.label === "AB"[i] ? " · the label" : ""}`), textBox(text)))),
    element("p", {}, `Label ${found.label ?? "none"}, confidence ${number(found.confidence)}, agreement of the votes ${number(found.agreement)}, ${flip}`
      + Object.entries(found.measures).map(([name, value]) => `, ${name} ${value}`).join("") + "."),
    ...(found.rationale ? [element("h2", {}, found.kept ? "The rationale to be learnt" : "The judge's rationale"),
      ...(found.rationale_swapped ? [element("p", {class: "muted"}, "Written for the other order: its “Response A” is B here.")] : []), textBox(found.rationale)] : []),
    element("h2", {}, "Votes"), element("div", {class: "pair"}, order(found, "ab"), order(found, "ba")));
};

const draw = async () => {
  const words = here(), run = words.get("run"), round = words.get("round"), id = words.get("id");
  say(at("message"), "");
  try {
    if (run === null) await list();
    else if (round === null) await oneRun(run);
    else if (id === null) await comparisons(run, round);
    else await comparison(run, round, id);
    document.title = `gramr2 · ${at("title").textContent}`;
  } catch (error) {
    show("Runs");
    say(at("message"), error.message, true);
  }
};

addEventListener("hashchange", async () => { await draw(); scrollTo(0, 0); });
try {
  await begin("runs");
} catch (error) {
  say(at("message"), error.message, true);
}
await draw();

"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const KINDS = ["tissue", "presenter", "title", "other"];

// The lecture as it stands: segments { first, last, kind, verdict }, and how it was before each change.
const state = { segments: data.segments, past: [], saved: true };

function change(segments, focus) {
  state.past.push(state.segments);
  state.segments = segments;
  state.saved = false;
  draw(focus);
}

function undo() {
  if (state.past.length) {
    state.segments = state.past.pop();
    state.saved = false;
    draw();
  }
}

function replace(number, values) {
  change(state.segments.map((segment, n) => (n === number ? { ...segment, ...values } : segment)), number);
}

function decide(number, verdict) {
  replace(number, { verdict: state.segments[number].verdict === verdict ? null : verdict });
}

function merge(number) {
  const [a, b] = state.segments.slice(number, number + 2);
  if (!b) return;
  const kind = b.last - b.first > a.last - a.first ? b.kind : a.kind;
  const joined = { first: a.first, last: b.last, kind, verdict: a.verdict === b.verdict ? a.verdict : null };
  change([...state.segments.slice(0, number), joined, ...state.segments.slice(number + 2)], number);
}

function split(number, frame) {
  const segment = state.segments[number];
  if (!(frame > segment.first && frame < segment.last)) return false;
  const parts = [{ ...segment, last: frame }, { ...segment, first: frame }];
  change([...state.segments.slice(0, number), ...parts, ...state.segments.slice(number + 1)], number + 1);
  return true;
}

function between(value, from, to) {
  const clock = data.clock;
  let n = 1;
  while (n < clock.length - 1 && clock[n][from] <= value) n += 1;
  const [a, b] = [clock[n - 1], clock[n]];
  return a[to] + ((value - a[from]) / (b[from] - a[from])) * (b[to] - a[to]);
}
const timeOf = (frame) => between(frame, 0, 1);
const frameAt = (time) => Math.round(between(time, 1, 0));

function decisions() {
  return { ...data.decisions, segments: state.segments.map(({ first, last, kind, verdict }) => ({ first, last, kind, verdict })) };
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(decisions(), null, 2) + "\n"], { type: "application/json" }));
  link.download = data.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  state.saved = true;
  report();
}

function element(name, values = {}, ...children) {
  const made = Object.assign(document.createElement(name), values);
  made.append(...children);
  return made;
}

function button(text, action, values = {}) {
  return element("button", { type: "button", textContent: text, onclick: action, ...values });
}

function clock(seconds) {
  const minutes = Math.floor(seconds / 60);
  return `${minutes}:${(seconds - 60 * minutes).toFixed(2).padStart(5, "0")}`;
}

function card(segment, number) {
  const [start, end] = [timeOf(segment.first), timeOf(segment.last)];
  const name = `${number + 1}: ${clock(start)} to ${clock(end)}, ${(end - start).toFixed(2)} s`;
  const field = element("input", { type: "number", step: "any", min: start, max: end, value: ((start + end) / 2).toFixed(2) });
  field.setAttribute("aria-label", `Seconds at which to split segment ${number + 1}`);
  const cut = () => {
    if (!split(number, frameAt(field.valueAsNumber))) say(`${field.value} s is not inside segment ${number + 1}`);
  };
  field.onkeydown = (event) => {
    if (event.key === "Enter") cut();
  };
  const pictures = data.thumbs.filter((thumb) => thumb.frame >= segment.first && thumb.frame < segment.last).map((thumb) => {
    const picture = button("", () => { field.value = timeOf(thumb.frame).toFixed(3); field.focus(); });
    picture.setAttribute("aria-label", `Split at ${thumb.time} seconds`);
    picture.append(element("img", { src: thumb.uri, alt: "", loading: "lazy" }), clock(thumb.time));
    return picture;
  });
  const kind = element("select", { onchange: () => replace(number, { kind: kind.value }) },
    ...KINDS.map((value) => element("option", { value, textContent: value, selected: value === segment.kind })));
  const pressed = (made, verdict) => {
    made.setAttribute("aria-pressed", String(segment.verdict === verdict));
    return made;
  };
  const made = element("section", { className: `segment ${segment.kind} ${segment.verdict ?? ""}`, tabIndex: 0 },
    element("h3", { textContent: name }),
    element("div", { className: "strip" }, ...pictures),
    element("div", { className: "do" },
      pressed(button("Accept", () => decide(number, "accept"), { className: "yes" }), "accept"),
      pressed(button("Reject", () => decide(number, "reject"), { className: "no" }), "reject"),
      element("label", {}, "Kind", kind),
      button("Merge with next", () => merge(number), { disabled: number === state.segments.length - 1 }),
      element("label", {}, "Split at", field, "s"), button("Split", cut)));
  made.setAttribute("aria-label", `Segment ${name}`);
  made.onkeydown = (event) => keys(event, number);
  return made;
}

function keys(event, number) {
  if (event.target.tagName === "INPUT" || event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = {
    a: () => decide(number, "accept"), r: () => decide(number, "reject"), m: () => merge(number), u: undo,
    j: () => focusOn(number + 1), k: () => focusOn(number - 1),
  };
  const action = actions[event.key.toLowerCase()];
  if (action) {
    event.preventDefault();
    action();
  }
}

function focusOn(number) {
  document.querySelectorAll(".segment")[number]?.focus();
}

function say(text) {
  document.getElementById("status").textContent = text;
}

function report() {
  const count = (verdict) => state.segments.filter((segment) => segment.verdict === verdict).length;
  say(`${state.segments.length} segments, ${count("accept")} accepted, ${count("reject")} rejected${state.saved ? "" : ", not saved"}`);
}

function draw(focus) {
  document.getElementById("segments").replaceChildren(...state.segments.map(card));
  document.getElementById("undo").disabled = !state.past.length;
  report();
  if (focus !== undefined) focusOn(focus);
}

document.getElementById("undo").onclick = undo;
document.getElementById("save").onclick = save;
window.onbeforeunload = () => (state.saved ? undefined : "");
draw();

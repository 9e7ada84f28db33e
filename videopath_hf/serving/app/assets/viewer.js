// The case: bringing a file, playing it, and the frames that the model sees. Runs once, when Gradio shows the component;
// `element`, `props`, `trigger` and `watch` are Gradio's, and `props.value` is what `views.viewer` gives.
const at = (selector) => element.querySelector(selector);
const [bring, progress, look, video, image] = [".vp-bring", ".vp-progress", ".vp-look", ".vp-stage video", ".vp-stage img"].map(at);
const [scrub, marks, strip, clock] = [".vp-scrub", ".vp-marks", ".vp-strip", ".vp-clock"].map(at);
const here = (path) => new URL(path, document.baseURI).href;
let shown = null; // id of the case on the page
let frames = [];

function make(name, values, ...children) {
  const made = Object.assign(document.createElement(name), values);
  made.append(...children);
  return made;
}

function say(error) {
  at(".vp-error").textContent = error;
  at(".vp-error").hidden = !error;
}

function busy(text, percent) {
  progress.hidden = text === null;
  bring.hidden = text !== null || props.value.medium !== null;
  at(".vp-progress p").textContent = text ?? "";
  const bar = at(".vp-progress progress");
  if (percent === undefined) bar.removeAttribute("value");
  else bar.value = percent;
  at(".vp-progress button").hidden = percent === undefined;
}

// Bringing a file

function upload(file) {
  say("");
  if (!file) return;
  if (file.size > props.value.bytes) {
    say(`${file.name} has ${(file.size / 1e6).toFixed(1)} MB, more than the ${props.value.bytes / 1e6} MB accepted; cut it, or compress it further`);
    return;
  }
  const request = new XMLHttpRequest();
  request.open("PUT", here(`videopath/upload/${props.value.visit}`));
  request.setRequestHeader("X-File-Name", encodeURIComponent(file.name));
  request.upload.onprogress = (event) => busy(`Sending ${file.name}`, (100 * event.loaded) / event.total);
  request.onload = () => {
    if (request.status === 200) {
      busy(`Looking at ${file.name}`);
      trigger("uploaded");
      return;
    }
    let error = "the file did not arrive; try again";
    try {
      error = JSON.parse(request.responseText).error;
    } catch {
      // a proxy's own page
    }
    busy(null);
    say(error);
  };
  request.onerror = () => {
    busy(null);
    say("the file did not arrive: the connection broke; try again");
  };
  request.onabort = () => busy(null);
  at(".vp-progress button").onclick = () => request.abort();
  busy(`Sending ${file.name}`, 0);
  request.send(file);
}

const chooser = at(".vp-drop input");
chooser.onchange = () => {
  upload(chooser.files[0]);
  chooser.value = "";
};
const drop = at(".vp-drop");
for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle("vp-over", name === "dragenter" || name === "dragover");
    if (name === "drop") upload(event.dataTransfer.files[0]);
  });
}
at(".vp-another").onclick = () => {
  video.pause();
  trigger("cleared");
};

function offer(examples) {
  at(".vp-examples").replaceChildren(...examples.map((example, number) => {
    const made = make("button", { type: "button" },
      make("img", { src: example.picture, alt: "" }),
      make("span", { textContent: example.title }));
    made.onclick = () => {
      say("");
      busy(`Looking at “${example.title}”`);
      trigger("example", { number });
    };
    return made;
  }));
}

// Playing it

const written = (seconds) => `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(1).padStart(4, "0")}`;

function seek(seconds) {
  video.pause();
  // A hair later than the frame begins: browsers may show the one before at its very first moment.
  video.currentTime = Math.min(seconds + 0.005, props.value.medium.seconds);
  tick(seconds);
}

function tick(seconds = video.currentTime) {
  const length = props.value.medium.seconds;
  scrub.value = seconds;
  scrub.style.setProperty("--done", `${(100 * seconds) / length}%`);
  scrub.setAttribute("aria-valuetext", `${seconds.toFixed(1)} of ${length.toFixed(1)} seconds`);
  clock.textContent = `${written(seconds)} / ${written(length)}`;
  const now = frames.findLastIndex((frame) => frame.time <= seconds + 0.02);
  for (const group of [marks, strip]) {
    [...group.children].forEach((button, number) => {
      if (number === now) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    });
  }
  const thumb = strip.children[now];
  if (thumb) strip.scrollLeft = thumb.offsetLeft - strip.offsetLeft - (strip.clientWidth - thumb.clientWidth) / 2;
}

function follow() {
  if (!video.paused) {
    tick();
    requestAnimationFrame(follow);
  }
}

function toggle() {
  if (video.paused) video.play();
  else video.pause();
}

const step = (way) => {
  const next = way > 0 ? frames.find((frame) => frame.time > video.currentTime + 0.02) : frames.findLast((frame) => frame.time < video.currentTime - 0.02);
  if (next) seek(next.time);
};
video.onplay = video.onpause = () => {
  at(".vp-play").classList.toggle("vp-playing", !video.paused);
  at(".vp-play").setAttribute("aria-label", video.paused ? "Play" : "Pause");
  follow();
};
video.onclick = toggle;
video.onseeked = () => tick();
video.onerror = () => say("this browser cannot play the file; the model can see it all the same");
at(".vp-play").onclick = toggle;
at(".vp-before").onclick = () => step(-1);
at(".vp-after").onclick = () => step(1);
at(".vp-speed").onchange = (event) => { video.playbackRate = Number(event.target.value); };
at(".vp-full").onclick = () => (document.fullscreenElement ? document.exitFullscreen() : at(".vp-stage").requestFullscreen());
scrub.oninput = () => seek(Number(scrub.value));
window.addEventListener("videopath-seek", (event) => {
  if (!props.value.medium || props.value.medium.kind !== "video") return;
  seek(event.detail);
  at(".vp-stage").scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
});

// The frames that the model sees: one stop for the Tab key in each group, arrow keys within.

function group(parent, label, dress) {
  parent.setAttribute("aria-label", label);
  parent.replaceChildren(...frames.map((frame, number) => {
    const made = make("button", { type: "button", tabIndex: number ? -1 : 0, title: `${frame.time.toFixed(1)} s`, onclick: () => seek(frame.time) });
    made.setAttribute("aria-label", `Frame ${number + 1} of ${frames.length}, at ${frame.time.toFixed(1)} seconds`);
    dress(made, frame);
    return made;
  }));
  parent.onkeydown = (event) => {
    const from = [...parent.children].indexOf(document.activeElement);
    const to = { ArrowLeft: from - 1, ArrowRight: from + 1, Home: 0, End: frames.length - 1 }[event.key];
    const target = parent.children[to];
    if (from < 0 || !target) return;
    event.preventDefault();
    for (const button of parent.children) button.tabIndex = button === target ? 0 : -1;
    target.focus();
    target.click();
  };
}

function show(medium) {
  frames = medium.kind === "video" ? medium.frames : [];
  const moving = medium.kind === "video";
  video.hidden = !moving;
  image.hidden = moving;
  for (const part of [".vp-bar", ".vp-timeline", ".vp-strip"]) at(part).hidden = !moving;
  if (moving) {
    video.src = here(medium.url);
    video.poster = frames.length ? here(frames[0].picture) : "";
    scrub.max = medium.seconds;
    const label = `${frames.length} frames that the model sees; arrow keys go from one to the next`;
    group(marks, label, (button, frame) => { button.style.left = `${(100 * frame.time) / medium.seconds}%`; });
    group(strip, label, (button, frame) => { button.append(make("img", { src: here(frame.picture), alt: "", loading: "lazy" })); });
    tick(0);
  } else {
    image.src = here(medium.url);
  }
  at(".vp-facts strong").textContent = medium.name;
  at(".vp-facts span").textContent = medium.facts;
}

function draw() {
  const { medium, examples, accepted, error } = props.value;
  say(error);
  busy(null);
  at(".vp-accepted").textContent = accepted;
  if (!at(".vp-examples").childElementCount) offer(examples);
  look.hidden = medium === null;
  bring.hidden = medium !== null;
  if (medium === null) {
    video.removeAttribute("src");
    video.load();
  } else if (medium.id !== shown) {
    show(medium);
    at(".vp-play").focus({ preventScroll: true });
  }
  shown = medium?.id ?? null;
}

watch("value", draw);
if (props.value) draw();

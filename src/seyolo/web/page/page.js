// An image goes to the server once per model, or to the network in this page (`serve --browser`), with a low threshold;
// the slider then filters here, which gives the very boxes a higher threshold would have given: suppression drops a box
// only for a better one.

const ASKED_CONFIDENCE = 0.05;
const SENT_AS_THEY_ARE = ["image/jpeg", "image/png", "image/webp"];
const CAMERA_SIDE_PX = 960;
const MOST_LISTED = 12;
const TIMED_FRAMES = 30;
const RETRY_MS = 1000;
const HIGHEST = 0.72; // of the window: the results stay in sight

const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));

let models = [];
let views = [];
let current = null; // { blob, image }: the one that is shown
let fileName = "image"; // of the file that is shown, for downloads
let movie = null; // the video that is played
let turn = 0; // whatever was begun in an earlier turn no longer counts
let stream = null; // of the camera
let filling = Promise.resolve(); // the requests of an image that are under way

// ---- asking the server

async function ask(url, options) {
  let response;
  try {
    response = await fetch(url, options);
  } catch {
    throw new Error("The server does not answer. Is seyolo still running?");
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(answer.error ?? `The server answered ${response.status}.`);
  return answer;
}

// `source` is { blob, image }; a frame of the camera needs no blob in the browser.
async function detect(source, model) {
  if (model.browser) return detectHere(source, model);
  const query = new URLSearchParams({ model: model.name, confidence: ASKED_CONFIDENCE });
  const begun = performance.now();
  const answer = await ask(`detect?${query}`, { method: "POST", body: source.blob });
  const trip = performance.now() - begun;
  const where = `on the server; decoding ${milliseconds(answer.latency_ms.decode)}, round trip ${milliseconds(trip)}`;
  return { ...answer, where };
}

// ---- the network in this page

const opened = new Map(); // promises of detectors by the names of their models

async function detectHere({ blob, image }, model) {
  if (!opened.has(model.name)) opened.set(model.name, openHere(model));
  const detector = await opened.get(model.name);
  const begun = performance.now();
  // The levels of the file, as the server reads them, whatever colours the screen has.
  const pixels = blob ? await createImageBitmap(blob, { colorSpaceConversion: "none" }) : image;
  const decoded = performance.now();
  const found = await detector.detect(pixels, ASKED_CONFIDENCE);
  return {
    width: pixels.width, height: pixels.height,
    detections: found.map((one) => ({ ...one, name: model.classes[one.class_id].name })),
    latency_ms: { decode: decoded - begun, detect: performance.now() - decoded },
    where: `in this browser; decoding ${milliseconds(decoded - begun)}`,
  };
}

async function openHere(model) {
  const files = new URL("../ort/", import.meta.url).href;
  const [ort, { Detector }] = await Promise.all([import(`${files}ort.wasm.min.mjs`), import("./detector.js")]);
  ort.env.wasm.wasmPaths = files;
  ort.env.wasm.numThreads = crossOriginIsolated ? navigator.hardwareConcurrency : 1;
  return Detector.open(ort, new URL(`../files/${encodeURIComponent(model.name)}`, import.meta.url).href, model.browser);
}

// ---- views, one for each model that is chosen

function makeView(model) {
  const figure = page.view.content.firstElementChild.cloneNode(true);
  const part = (selector) => figure.querySelector(selector);
  const [height, width] = model.input_size;
  part("h2").textContent = model.name;
  const view = {
    model, figure, canvas: part("canvas"), runs: part(".runs"), latency: part(".latency"), more: part(".more"),
    list: part("ul"), timed: part(".times"), runsOn: `${width} × ${height} px, ${model.runtime}`, image: null, answer: null, times: [],
  };
  new ResizeObserver(() => draw(view)).observe(part(".image"));
  for (const button of figure.querySelectorAll(".saves button")) {
    button.addEventListener("click", () => save(view, button.dataset.kind));
  }
  return view;
}

function chosenViews() {
  const value = page.options.querySelector(":checked")?.value ?? "all";
  return value === "all" ? views : [views[Number(value)]];
}

function showViews() {
  page.views.replaceChildren(...chosenViews().map((view) => view.figure));
}

function shownDetections(view) {
  return (view.answer?.detections ?? []).filter((found) => found.score >= Number(page.confidence.value));
}

function put(view, image, answer) {
  view.image = image;
  view.answer = answer;
  if (answer) view.times = [...view.times, answer.latency_ms.detect].slice(-TIMED_FRAMES);
  show(view);
}

function show(view) {
  describe(view);
  draw(view);
}

function showRuns(view, perSecond) {
  const rate = perSecond ? `, ${perSecond.toFixed(perSecond < 10 ? 1 : 0)} images/s` : "";
  view.runs.textContent = view.runsOn + rate;
}

function describe(view) {
  const { answer, times } = view;
  view.latency.textContent = answer ? milliseconds(median(times)) : "…";
  view.more.textContent = answer ? answer.where : "";
  view.timed.textContent = times.length > 1 ? `median of ${times.length} images` : "";
  const found = shownDetections(view);
  const texts = found.slice(0, MOST_LISTED).map((item) => `${item.name} ${item.score.toFixed(2)}`);
  if (found.length > MOST_LISTED) texts.push(`and ${found.length - MOST_LISTED} more`);
  if (answer && !found.length) texts.push("nothing found at this score");
  view.list.replaceChildren(...texts.map((text) => {
    const item = document.createElement("li");
    item.textContent = text;
    item.className = found.length ? "" : "none";
    return item;
  }));
  view.canvas.setAttribute("aria-label", `the image with ${countText(found)}`);
}

function countText(found) {
  const counts = new Map();
  for (const { name } of found) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, count]) => `${count} × ${name}`).join(", ") || "nothing found";
}

function milliseconds(value) {
  return `${value.toFixed(value < 100 ? 1 : 0)} ms`;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

// ---- drawing, in device pixels so that lines and letters are sharp

function draw(view) {
  const { image, canvas, figure } = view;
  const room = canvas.parentElement.clientWidth;
  if (!image || !room) return;
  const scale = Math.min(room / image.width, (innerHeight * HIGHEST) / image.height);
  const width = Math.round(image.width * scale);
  const height = Math.round(image.height * scale);
  const ratio = devicePixelRatio;
  figure.style.setProperty("--width", `${width}px`);
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  paint(canvas, view, ratio);
}

// `ratio` is pixels of the canvas per unit of line width and text.
function paint(canvas, view, ratio) {
  const { image, answer, model } = view;
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  if (!answer) return;
  const toCanvas = canvas.width / answer.width;
  const worstFirst = shownDetections(view).reverse();
  for (const found of worstFirst) drawBox(context, found.box, toCanvas, ratio, model.classes[found.class_id]);
  for (const found of worstFirst) drawLabel(context, found, toCanvas, ratio, model.classes[found.class_id]);
}

function drawBox(context, box, toCanvas, ratio, { colour }) {
  const [left, top, right, bottom] = box.map((side) => Math.round(side * toCanvas));
  const line = Math.max(2, Math.round(2.5 * ratio));
  for (const [style, extra] of [["rgb(0 0 0 / .6)", 2 * Math.round(ratio)], [colour, 0]]) {
    context.lineWidth = line + extra;
    context.strokeStyle = style;
    context.strokeRect(left + line / 2, top + line / 2, right - left - line, bottom - top - line);
  }
}

function drawLabel(context, { box, name, score }, toCanvas, ratio, { colour, text }) {
  const size = Math.round(14 * ratio);
  const margin = Math.round(5 * ratio);
  const label = `${name} ${score.toFixed(2)}`;
  context.font = `600 ${size}px system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif`;
  context.textBaseline = "middle";
  const width = Math.ceil(context.measureText(label).width) + 2 * margin;
  const height = Math.round(size * 1.45);
  const boxTop = Math.round(box[1] * toCanvas);
  const top = boxTop >= height ? boxTop - height : boxTop;
  const left = Math.max(0, Math.min(Math.round(box[0] * toCanvas), context.canvas.width - width));
  context.fillStyle = colour;
  context.fillRect(left, top, width, height);
  context.fillStyle = text;
  context.fillText(label, left + margin, top + height / 2 + ratio / 2);
}

// ---- downloads of what is shown

const COLUMNS = ["name", "class_id", "score", "left", "top", "right", "bottom"];

async function save(view, kind) {
  if (!view.answer) return;
  const blob = kind === "jpg" ? await annotated(view) : new Blob([asText(view, kind)], { type: "text/plain" });
  const link = Object.assign(document.createElement("a"), {
    href: URL.createObjectURL(blob), download: `${fileName}-${view.model.name}.${kind}`,
  });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), RETRY_MS);
}

function annotated(view) {
  const { width, height } = view.image;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  paint(canvas, view, Math.max(1, (width + height) / 1400));
  return toJpeg(canvas);
}

function asText(view, kind) {
  const { model, width, height, latency_ms } = view.answer;
  const detections = shownDetections(view);
  if (kind === "json") {
    return JSON.stringify({ model: model ?? view.model.name, width, height, detections, latency_ms }, null, 2) + "\n";
  }
  const rows = detections.map(({ name, class_id, score, box }) => [quoted(name), class_id, score, ...box]);
  return [COLUMNS, ...rows].map((row) => row.join(",") + "\n").join("");
}

function quoted(text) {
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

// ---- images

async function open(blob) {
  stopCamera();
  stopVideo();
  fileName = (blob.name ?? "image").replace(/\.\w+$/, "");
  if (blob.type.startsWith("video/")) return openVideo(blob);
  const mine = ++turn;
  say("");
  try {
    const image = await createImageBitmap(blob).catch(() => {
      throw new Error("This is not an image the browser can show.");
    });
    if (mine !== turn) return;
    const isTaken = isHere() || SENT_AS_THEY_ARE.includes(blob.type);
    current = { blob: isTaken ? blob : await toJpeg(onCanvas(image, image.width, image.height)), image };
    for (const view of views) clear(view, image);
    reveal();
    await fill(mine);
  } catch (error) {
    if (mine === turn) complain(error);
  }
}

function clear(view, image) {
  view.times = [];
  showRuns(view);
  put(view, image, null);
}

// One request after the other: at the same time they would slow each other down.
function fill(mine) {
  filling = filling.catch(() => {}).then(() => fillInTurn(mine));
  return filling;
}

async function fillInTurn(mine) {
  for (const view of chosenViews()) {
    if (mine !== turn) return;
    if (view.answer) continue;
    const answer = await detect(current, view.model);
    if (mine !== turn) return;
    put(view, current.image, answer);
  }
  say(chosenViews().map((view) => `${view.model.name}: ${countText(shownDetections(view))}`).join(" · "));
}

function reveal() {
  page.drop.hidden = page.try.hidden = true;
  page.views.hidden = false;
  page.error.hidden = true;
  showViews();
}

function onCanvas(source, width, height) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  canvas.getContext("2d").drawImage(source, 0, 0, width, height);
  return canvas;
}

function toJpeg(canvas) {
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.92));
}

function isHere() {
  return models.some((model) => model.browser);
}

function say(text) {
  page.status.textContent = text;
}

function complain(error) {
  page.error.textContent = error.message;
  page.error.hidden = false;
}

// ---- camera: the frame that was looked at is shown with its boxes, so they always belong together

async function startCamera() {
  stopVideo();
  const mine = ++turn;
  fileName = "camera";
  page.error.hidden = true;
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  try {
    const granted = await navigator.mediaDevices.getUserMedia({
      video: { facingMode: "environment", width: { ideal: 1280 } },
    });
    if (mine !== turn) return release(granted);
    stream = granted;
    stream.getVideoTracks()[0].addEventListener("ended", stopCamera);
    page.camera.textContent = "Stop the camera";
    page.camera.setAttribute("aria-pressed", "true");
    video.srcObject = stream;
    await video.play();
  } catch (error) {
    if (mine !== turn) return;
    const denied = error.name === "NotAllowedError";
    complain(new Error(denied ? "The browser does not let this page use the camera." : "No camera was found."));
    return;
  }
  begin();
  await watch(video, mine);
}

function begin() {
  current = null;
  for (const view of views) clear(view, null);
  reveal();
}

function release(media) {
  for (const track of media.getTracks()) track.stop();
}

async function watch(video, mine) {
  let ends = []; // of the last frames, in milliseconds
  while (mine === turn) {
    const at = video.currentTime;
    try {
      await look(video, mine);
      page.error.hidden = true;
    } catch (error) {
      if (mine !== turn) return;
      complain(error);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
    ends = [...ends, performance.now()].slice(-TIMED_FRAMES);
    const perSecond = ((ends.length - 1) * 1000) / (ends.at(-1) - ends[0]);
    if (mine === turn && ends.length > 5) for (const view of views) showRuns(view, perSecond);
    if (document.hidden) await once(document, ["visibilitychange"]);
    if (mine === turn && movie?.paused && movie.currentTime === at) {
      await once(movie, ["play", "seeked", "emptied"]);
      ends = [];
    }
  }
}

function once(target, names) {
  return new Promise((resolve) => {
    for (const name of names) target.addEventListener(name, resolve, { once: true });
  });
}

async function look(video, mine) {
  const scale = Math.min(1, CAMERA_SIDE_PX / Math.max(video.videoWidth, video.videoHeight));
  const frame = onCanvas(video, Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale));
  if (isHere()) await new Promise((resolve) => setTimeout(resolve)); // a network in the page blocks it: let clicks through
  const source = { image: frame, blob: isHere() ? null : await toJpeg(frame) };
  for (const view of chosenViews()) {
    const answer = await detect(source, view.model);
    if (mine !== turn) return;
    put(view, frame, answer);
  }
}

function stopCamera() {
  if (!stream) return;
  turn++;
  release(stream);
  stream = null;
  page.camera.textContent = "Use the camera";
  page.camera.setAttribute("aria-pressed", "false");
  for (const view of views) showRuns(view);
}

// ---- video: as with the camera, frames that come while one is looked at are passed over

async function openVideo(blob) {
  const mine = ++turn;
  page.error.hidden = true;
  const video = Object.assign(document.createElement("video"), {
    muted: true, playsInline: true, src: URL.createObjectURL(blob),
  });
  try {
    await video.play();
    if (!video.videoWidth) throw new Error();
  } catch {
    URL.revokeObjectURL(video.src);
    if (mine === turn) complain(new Error("This is not a video the browser can play."));
    return;
  }
  if (mine !== turn) return URL.revokeObjectURL(video.src);
  movie = video;
  page.player.hidden = false;
  page.position.max = video.duration;
  for (const event of ["play", "pause", "timeupdate", "seeked"]) video.addEventListener(event, showPosition);
  showPosition();
  begin();
  await watch(video, mine);
}

function showPosition() {
  if (!movie) return;
  page.play.textContent = movie.paused ? "Play" : "Pause";
  page.position.value = movie.currentTime;
  page.position.setAttribute("aria-valuetext", clock(movie.currentTime));
  page.time.textContent = `${clock(movie.currentTime)} / ${clock(movie.duration)}`;
}

function clock(seconds) {
  const whole = Number.isFinite(seconds) ? Math.floor(seconds) : 0;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

function stopVideo() {
  if (!movie) return;
  turn++;
  const ended = movie;
  movie = null;
  ended.pause();
  URL.revokeObjectURL(ended.src);
  ended.removeAttribute("src");
  ended.load(); // ends the wait for it
  page.player.hidden = true;
}

// ---- events

function listen() {
  for (const button of [page.choose, page.drop]) button.addEventListener("click", () => page.file.click());
  for (const input of [page.file, page.photo]) {
    input.addEventListener("change", () => {
      if (input.files[0]) open(input.files[0]);
      input.value = "";
    });
  }
  page.camera.addEventListener("click", () => {
    // Browsers give the camera's stream to secure pages only; taking a photo works everywhere.
    if (!navigator.mediaDevices) page.photo.click();
    else if (stream) stopCamera();
    else startCamera();
  });
  page.sample.addEventListener("click", openSample);
  page.play.addEventListener("click", () => {
    if (movie?.paused) movie.play();
    else movie?.pause();
  });
  page.position.addEventListener("input", () => {
    if (movie) movie.currentTime = page.position.value;
  });
  page.confidence.addEventListener("input", () => {
    page.shown.textContent = Number(page.confidence.value).toFixed(2);
    views.forEach(show);
  });
  addEventListener("resize", () => views.forEach(draw));
  document.addEventListener("paste", (event) => take(event, event.clipboardData));
  document.addEventListener("drop", (event) => take(event, event.dataTransfer));
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dragging");
  });
}

async function openSample() {
  const blob = await fetch("sample.jpg").then((response) => response.blob()).catch(() => null);
  if (blob) await open(new File([blob], "sample.jpg", { type: blob.type }));
  else complain(new Error("The server does not answer. Is seyolo still running?"));
}

function take(event, data) {
  event.preventDefault();
  document.body.classList.remove("dragging");
  if (data.files[0]) open(data.files[0]);
  else complain(new Error("That holds no file; drop or paste an image or a video."));
}

function offerChoice() {
  const entries = [...models.map((model, index) => [String(index), model.name]), ["all", "Both"]];
  page.options.replaceChildren(...entries.map(([value, text]) => {
    const label = document.createElement("label");
    const input = Object.assign(document.createElement("input"), { type: "radio", name: "model", value });
    input.checked = value === "all";
    label.append(input, text);
    return label;
  }));
  page.choice.hidden = models.length < 2;
  page.options.addEventListener("change", () => {
    showViews();
    if (current) fill(turn).catch(complain);
  });
}

try {
  ({ models } = await ask("models"));
  views = models.map(makeView);
  offerChoice();
  if (isHere()) page.promise.textContent = "It stays in this browser.";
  listen();
} catch (error) {
  complain(error);
}

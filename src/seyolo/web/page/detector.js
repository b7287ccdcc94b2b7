// A detector in the browser: an image fitted to the network's input, onnxruntime-web, and non-maximum suppression.
//
// The steps are those of seyolo's Python (letterbox.py, detections.py, boxes.py). A fitted image differs from Python's
// by at most one level of 255, since OpenCV rounds bilinear interpolation in its own way.

const LEVEL = Math.fround(1 / 255);

/** A network that is open: `await Detector.open(ort, url, network)`, then `await detector.detect(image)`. */
export class Detector {
  /**
   * ort: the module `ort.wasm.min.mjs` of onnxruntime-web. url: of an .onnx file that seyolo exported.
   * network: { input_size: [height, width], letterbox: "letterbox" or "stretch", pad_value, channels: 3 or 1 }
   */
  static async open(ort, url, network) {
    const session = await ort.InferenceSession.create(url, { executionProviders: ["wasm"] });
    return new Detector(ort, session, network);
  }

  constructor(ort, session, network) {
    Object.assign(this, { ort, session, network });
  }

  /** Boxes [left, top, right, bottom] in pixels of an ImageBitmap or canvas, the best first. */
  async detect(image, confidence = 0.25, iou = 0.6, most = 300) {
    const { input, placement } = fit(pixelsOf(image, this.network.channels), this.network);
    const dims = [1, this.network.channels, ...this.network.input_size];
    const feeds = { [this.session.inputNames[0]]: new this.ort.Tensor("float32", input, dims) };
    const raw = (await this.session.run(feeds))[this.session.outputNames[0]];
    const kept = suppress(candidates(raw.data, raw.dims[2], confidence), iou).slice(0, most);
    return kept.map((found) => ({ ...found, box: toSource(found.box, placement) })).filter(isVisible);
  }
}

// ---- from pixels to the input

/** Levels of 0 to 255, interleaved: red, green, blue, or grey (ITU-R BT.601). */
export function pixelsOf(image, channels) {
  const { width, height } = image;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const levels = new Uint8Array(width * height * channels);
  for (let from = 0, to = 0; from < data.length; from += 4, to += channels) {
    const [red, green, blue] = [data[from], data[from + 1], data[from + 2]];
    if (channels === 1) levels[to] = Math.round(0.299 * red + 0.587 * green + 0.114 * blue);
    else levels.set([red, green, blue], to);
  }
  return { levels, width, height, channels };
}

/** The input of a network (planes in [0, 1]), and where the image lies in it. */
export function fit(image, { input_size: [height, width], letterbox, pad_value: pad }) {
  const placement = place(image, width, height, letterbox);
  const inner = resize(image, placement.width, placement.height);
  const input = new Float32Array(image.channels * width * height).fill(pad * LEVEL);
  let from = 0;
  for (let y = 0; y < inner.height; y++) {
    for (let x = 0; x < inner.width; x++) {
      const to = (y + placement.top) * width + x + placement.left;
      for (let c = 0; c < image.channels; c++) input[c * width * height + to] = inner.levels[from++] * LEVEL;
    }
  }
  return { input, placement };
}

function place({ width: sourceWidth, height: sourceHeight }, width, height, mode) {
  let [innerWidth, innerHeight] = [width, height];
  if (mode === "letterbox") {
    const scale = Math.min(height / sourceHeight, width / sourceWidth);
    innerWidth = Math.min(width, Math.max(1, toEven(sourceWidth * scale)));
    innerHeight = Math.min(height, Math.max(1, toEven(sourceHeight * scale)));
  }
  const [left, top] = [(width - innerWidth) >> 1, (height - innerHeight) >> 1];
  return { left, top, width: innerWidth, height: innerHeight, sourceWidth, sourceHeight };
}

/** Rounds as Python does: halves to the even number. */
function toEven(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}

/** Bilinear, with averages of blocks below half the size. */
function resize(image, width, height) {
  let { width: columns, height: rows } = image;
  while (columns % 2 === 0 && rows % 2 === 0 && columns >= 4 * width && rows >= 4 * height) {
    [columns, rows] = [columns / 2, rows / 2];
    image = averaged(image, columns, rows);
  }
  const factor = (source, target) => 2 ** Math.max(0, Math.floor(Math.log2(Math.floor(source / target))));
  image = bilinear(image, width * factor(columns, width), height * factor(rows, height));
  return averaged(image, width, height);
}

function averaged(image, width, height) {
  const [across, down] = [image.width / width, image.height / height];
  if (across === 1 && down === 1) return image;
  const { channels } = image;
  const levels = new Uint8Array(width * height * channels);
  let to = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        for (let dy = 0; dy < down; dy++) {
          const row = ((y * down + dy) * image.width + x * across) * channels + c;
          for (let dx = 0; dx < across; dx++) sum += image.levels[row + dx * channels];
        }
        levels[to++] = Math.round(sum / (across * down));
      }
    }
  }
  return { levels, width, height, channels };
}

function bilinear(image, width, height) {
  if (image.width === width && image.height === height) return image;
  const { channels, levels: source } = image;
  const levels = new Uint8Array(width * height * channels);
  const columns = samples(image.width, width);
  let to = 0;
  for (const [top, bottom, down] of samples(image.height, height)) {
    const [above, below] = [top * image.width, bottom * image.width];
    for (const [left, right, across] of columns) {
      for (let c = 0; c < channels; c++) {
        const at = (row, column) => source[(row + column) * channels + c];
        const upper = at(above, left) * (1 - across) + at(above, right) * across;
        const lower = at(below, left) * (1 - across) + at(below, right) * across;
        levels[to++] = Math.round(upper * (1 - down) + lower * down);
      }
    }
  }
  return { levels, width, height, channels };
}

/** For each of `count` places: two neighbours among `size` pixels, and the share of the second. */
function samples(size, count) {
  return Array.from({ length: count }, (_, index) => {
    const position = Math.min(Math.max(((index + 0.5) * size) / count - 0.5, 0), size - 1);
    const first = Math.floor(position);
    return [first, Math.min(first + 1, size - 1), position - first];
  });
}

// ---- from the output to boxes

/** Every pair of box and class whose score reaches `confidence`; a row is cx, cy, w, h, objectness, classes. */
export function candidates(raw, columns, confidence) {
  const found = [];
  for (let row = 0; row < raw.length; row += columns) {
    if (raw[row + 4] < confidence) continue;
    for (let column = 5; column < columns; column++) {
      const score = Math.fround(raw[row + 4] * raw[row + column]);
      if (!(score >= confidence)) continue;
      const [x, y, w, h] = raw.slice(row, row + 4);
      found.push({ class_id: column - 5, score, box: [x - w / 2, y - h / 2, x + w / 2, y + h / 2] });
    }
  }
  return found;
}

/** Drops a box that overlaps a better one of its class by more than `iou`. */
export function suppress(found, iou) {
  const kept = [];
  for (const one of [...found].sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => other.class_id !== one.class_id || overlap(other.box, one.box) <= iou)) kept.push(one);
  }
  return kept;
}

function overlap(a, b) {
  const width = Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const height = Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  const area = ([left, top, right, bottom]) => Math.max(0, right - left) * Math.max(0, bottom - top);
  const union = area(a) + area(b) - width * height;
  return union > 0 ? (width * height) / union : 0;
}

function toSource(box, { left, top, width, height, sourceWidth, sourceHeight }) {
  return box.map((side, index) => {
    const [shift, inner, source] = index % 2 ? [top, height, sourceHeight] : [left, width, sourceWidth];
    return Math.min(Math.max(((side - shift) * source) / inner, 0), source);
  });
}

function isVisible({ box: [left, top, right, bottom] }) {
  return right > left && bottom > top;
}

// A picture file → the pixels that the model was trained on: upright, on white, fitted, resized and stored as the records were.

import { storedAsJpeg } from "./jpeg.js";

const STRIP = 256; // rows drawn at a time, so that a 50-megapixel photo never lies in memory as a whole
const REDUCTIONS = [8, 4, 2]; // of large JPEGs
const LANCZOS = 3;
const WEIGHT_BITS = 22; // of Pillow's weights, which are integers
const HALF = 1 << (WEIGHT_BITS - 1);

/**
 * Reads a picture as the records job does.
 * @param {Blob} file a picture in any format that this browser decodes
 * @param {{size: number, color: "rgb"|"gray", fit: "crop"|"pad"|"stretch", padColor: number[], quality: number|null}} how
 *   `quality` is that of the JPEGs which the model learned from; null for PNGs
 * @returns {Promise<Uint8Array>} size × size × (3 or 1) values, 0 to 255, row by row
 * @throws {Error} the browser cannot decode the file
 */
export async function readPixels(file, how) {
  const bitmap = await createImageBitmap(file); // upright by its EXIF, colours in sRGB
  try {
    const box = sourceBox(bitmap, how.fit);
    const target = targetBox(bitmap, how);
    const resized = resize(bitmap, box, (await isJpeg(file)) ? reductionOf(bitmap, how) : 1, target.width, target.height);
    const pixels = placed(resized, target, how);
    return how.quality ? storedAsJpeg(pixels, how.size, how.color === "rgb" ? 3 : 1, how.quality) : pixels;
  } finally {
    bitmap.close();
  }
}

async function isJpeg(file) {
  const [first, second] = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  return first === 0xff && second === 0xd8;
}

// Records hold large JPEGs decoded at a part of their size, each pixel the mean of a square: at least twice what is stored.
function reductionOf({ width, height }, { size, fit }) {
  const side = fit === "pad" ? Math.max(width, height) : Math.min(width, height);
  return REDUCTIONS.find((factor) => side >= 2 * size * factor) ?? 1;
}

function sourceBox({ width, height }, fit) {
  if (fit !== "crop") return { x: 0, y: 0, width, height };
  const side = Math.min(width, height);
  return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), width: side, height: side };
}

function targetBox({ width, height }, { size, fit }) {
  if (fit !== "pad") return { x: 0, y: 0, width: size, height: size };
  const longer = Math.max(width, height);
  const [inner, outer] = [width, height].map((side) => Math.max(1, halfToEven((side * size) / longer)));
  return { x: Math.floor((size - inner) / 2), y: Math.floor((size - outer) / 2), width: inner, height: outer };
}

function halfToEven(number) {
  return number % 1 === 0.5 ? 2 * Math.round(number / 2) : Math.round(number);
}

// Lanczos with a window that widens as the picture shrinks (antialiased), first along the rows, then along the columns: in
// Pillow's integers. Like there, the window looks beyond the edges of the box, as far as the picture goes.
function resize(bitmap, box, reduction, width, height) {
  const rows = Math.ceil(bitmap.height / reduction);
  const across = taps(box.x / reduction, box.width / reduction, Math.ceil(bitmap.width / reduction), width);
  const down = taps(box.y / reduction, box.height / reduction, rows, height);
  const narrow = new Uint8Array(rows * width * 3);
  const canvas = new OffscreenCanvas(bitmap.width, Math.min(STRIP, bitmap.height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < bitmap.height; top += STRIP) {
    const drawn = Math.min(STRIP, bitmap.height - top);
    context.fillStyle = "white";
    context.fillRect(0, 0, bitmap.width, drawn);
    context.drawImage(bitmap, 0, -top);
    const strip = reduced(context.getImageData(0, 0, bitmap.width, drawn), reduction);
    for (let row = 0; row < strip.height; row++) {
      resampleRow(strip.data, row * strip.width * 4, across, narrow, (top / reduction + row) * width * 3);
    }
  }
  return resampleColumns(narrow, width, down);
}

// The mean of each square of factor × factor pixels, which may be cut off at the right and the bottom.
function reduced(image, factor) {
  if (factor === 1) return image;
  const [width, height] = [Math.ceil(image.width / factor), Math.ceil(image.height / factor)];
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    const bottom = Math.min(image.height, (y + 1) * factor);
    for (let x = 0; x < width; x++) {
      const right = Math.min(image.width, (x + 1) * factor);
      let red = 0, green = 0, blue = 0;
      for (let row = y * factor; row < bottom; row++) {
        const end = (row * image.width + right) * 4;
        for (let pixel = (row * image.width + x * factor) * 4; pixel < end; pixel += 4) {
          red += image.data[pixel];
          green += image.data[pixel + 1];
          blue += image.data[pixel + 2];
        }
      }
      const count = (bottom - y * factor) * (right - x * factor);
      const at = (y * width + x) * 4;
      data[at] = Math.round(red / count);
      data[at + 1] = Math.round(green / count);
      data[at + 2] = Math.round(blue / count);
    }
  }
  return { data, width, height };
}

// For each of `to` output pixels: the first input pixel under the window, and the weights from there on. The input has `all`
// pixels, of which `length` from `start` on become the output.
function taps(start, length, all, to) {
  const scale = Math.max(1, length / to);
  const reach = LANCZOS * scale;
  return Array.from({ length: to }, (_, index) => {
    const center = start + ((index + 0.5) * length) / to;
    const first = Math.max(0, Math.floor(center - reach + 0.5));
    const last = Math.min(all, Math.floor(center + reach + 0.5));
    const weights = Array.from({ length: last - first }, (_, n) => lanczos((first + n - center + 0.5) / scale));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: Int32Array.from(weights, (weight) => Math.round((weight / sum) * 2 ** WEIGHT_BITS)) };
  });
}

function lanczos(x) {
  if (x === 0) return 1;
  if (Math.abs(x) >= LANCZOS) return 0;
  const turn = Math.PI * x;
  return (LANCZOS * Math.sin(turn) * Math.sin(turn / LANCZOS)) / (turn * turn);
}

function resampleRow(rgba, start, across, out, at) {
  for (const { first, weights } of across) {
    let red = HALF, green = HALF, blue = HALF;
    for (let n = 0, pixel = start + first * 4; n < weights.length; n++, pixel += 4) {
      red += rgba[pixel] * weights[n];
      green += rgba[pixel + 1] * weights[n];
      blue += rgba[pixel + 2] * weights[n];
    }
    out[at++] = level(red);
    out[at++] = level(green);
    out[at++] = level(blue);
  }
}

function resampleColumns(narrow, width, down) {
  const stride = width * 3;
  const out = new Uint8Array(down.length * stride);
  down.forEach(({ first, weights }, row) => {
    for (let column = 0; column < stride; column++) {
      let sum = HALF;
      for (let n = 0; n < weights.length; n++) sum += narrow[(first + n) * stride + column] * weights[n];
      out[row * stride + column] = level(sum);
    }
  });
  return out;
}

function level(sum) {
  return Math.min(255, Math.max(0, sum >> WEIGHT_BITS));
}

// The resized picture on its square, in the model's number of channels.
function placed(rgb, target, { size, color, padColor }) {
  const square = new Uint8Array(size * size * 3);
  for (let n = 0; n < square.length; n++) square[n] = padColor[n % 3];
  for (let row = 0; row < target.height; row++) {
    const from = row * target.width * 3;
    square.set(rgb.subarray(from, from + target.width * 3), ((row + target.y) * size + target.x) * 3);
  }
  return color === "rgb" ? square : grayOf(square);
}

// ITU-R 601-2, in the integers that Pillow uses.
function grayOf(rgb) {
  return Uint8Array.from({ length: rgb.length / 3 }, (_, n) =>
    (rgb[3 * n] * 19595 + rgb[3 * n + 1] * 38470 + rgb[3 * n + 2] * 7471 + 0x8000) >> 16);
}

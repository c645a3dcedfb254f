// A picture file → the pixels that the model was trained on: upright, on white, fitted, resized and stored as the records were.

import { storedAsJpeg } from "./jpeg.js";

const STRIP = 256; // rows drawn at a time, so that a 50-megapixel photo never lies in memory as a whole
const LANCZOS = 3;

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
    const box = sourceBox(bitmap.width, bitmap.height, how.fit);
    const target = targetBox(bitmap.width, bitmap.height, how);
    const resized = resize(bitmap, box, target.width, target.height);
    const pixels = placed(resized, target, how);
    return how.quality ? storedAsJpeg(pixels, how.size, how.color === "rgb" ? 3 : 1, how.quality) : pixels;
  } finally {
    bitmap.close();
  }
}

function sourceBox(width, height, fit) {
  if (fit !== "crop") return { x: 0, y: 0, width, height };
  const side = Math.min(width, height);
  return { x: Math.floor((width - side) / 2), y: Math.floor((height - side) / 2), width: side, height: side };
}

function targetBox(width, height, { size, fit }) {
  if (fit !== "pad") return { x: 0, y: 0, width: size, height: size };
  const longer = Math.max(width, height);
  const [inner, outer] = [width, height].map((side) => Math.max(1, Math.round((side * size) / longer)));
  return { x: Math.floor((size - inner) / 2), y: Math.floor((size - outer) / 2), width: inner, height: outer };
}

// Lanczos with a window that widens as the picture shrinks (antialiased), first along the rows, then along the columns.
function resize(bitmap, box, width, height) {
  const across = taps(box.width, width);
  const down = taps(box.height, height);
  const narrow = new Float32Array(box.height * width * 3);
  const canvas = new OffscreenCanvas(box.width, Math.min(STRIP, box.height));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  for (let top = 0; top < box.height; top += STRIP) {
    const rows = Math.min(STRIP, box.height - top);
    context.fillStyle = "white";
    context.fillRect(0, 0, box.width, rows);
    context.drawImage(bitmap, box.x, box.y + top, box.width, rows, 0, 0, box.width, rows);
    const strip = context.getImageData(0, 0, box.width, rows).data;
    for (let row = 0; row < rows; row++) resampleRow(strip, row * box.width * 4, across, narrow, (top + row) * width * 3);
  }
  return resampleColumns(narrow, width, down);
}

// For each of `to` output pixels: the first input pixel under the window, and the weights from there on.
function taps(from, to) {
  const scale = Math.max(1, from / to);
  const reach = LANCZOS * scale;
  return Array.from({ length: to }, (_, index) => {
    const center = ((index + 0.5) * from) / to;
    const first = Math.max(0, Math.floor(center - reach + 0.5));
    const last = Math.min(from, Math.floor(center + reach + 0.5));
    const weights = Float32Array.from({ length: last - first }, (_, n) => lanczos((first + n - center + 0.5) / scale));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return { first, weights: weights.map((weight) => weight / sum) };
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
    let red = 0, green = 0, blue = 0;
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
      let sum = 0;
      for (let n = 0; n < weights.length; n++) sum += narrow[(first + n) * stride + column] * weights[n];
      out[row * stride + column] = level(sum);
    }
  });
  return out;
}

function level(value) {
  return Math.min(255, Math.max(0, Math.round(value)));
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

// What storing a picture as a JPEG does to its pixels. The model learned from stored pictures; this makes the page's alike.

// ITU-T T.81, tables K.1 and K.2: brightness and colour.
const TABLES = [
  [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
  ],
  [
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
    ...Array(32).fill(99),
  ],
];
const SIDE = 8; // of a block

// The discrete cosine transform of eight values, as a matrix: row k is the k-th frequency.
const DCT = Float32Array.from({ length: SIDE * SIDE }, (_, n) => {
  const frequency = Math.floor(n / SIDE);
  return Math.sqrt((frequency ? 2 : 1) / SIDE) * Math.cos(((2 * (n % SIDE) + 1) * frequency * Math.PI) / (2 * SIDE));
});
const INVERSE = DCT.map((_, n) => DCT[(n % SIDE) * SIDE + Math.floor(n / SIDE)]);

/**
 * Returns the pixels that a picture has after it was stored as a JPEG without subsampling, and read again.
 * @param {Uint8Array} pixels side × side × channels values, 0 to 255, row by row
 * @param {number} side
 * @param {1|3} channels gray, or red, green and blue
 * @param {number} quality libjpeg's, 1 to 100
 * @returns {Uint8Array} of the same form
 */
export function storedAsJpeg(pixels, side, channels, quality) {
  const planes = channels === 1 ? [Uint8Array.from(pixels)] : toYCbCr(pixels);
  planes.forEach((plane, n) => quantizePlane(plane, side, steps(TABLES[Math.min(n, 1)], quality)));
  return channels === 1 ? planes[0] : toRgb(planes);
}

function steps(table, quality) {
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  return table.map((step) => Math.min(255, Math.max(1, Math.floor((step * scale + 50) / 100))));
}

// Rounds each block's frequencies to multiples of their steps. Past the right and the bottom edge the last pixel goes on.
function quantizePlane(plane, side, step) {
  const block = new Float32Array(SIDE * SIDE);
  const at = (top, left, n) => Math.min(side - 1, top + Math.floor(n / SIDE)) * side + Math.min(side - 1, left + (n % SIDE));
  const original = plane.slice();
  for (let top = 0; top < side; top += SIDE) {
    for (let left = 0; left < side; left += SIDE) {
      for (let n = 0; n < block.length; n++) block[n] = original[at(top, left, n)] - 128;
      const frequencies = transformed(block, DCT);
      for (let n = 0; n < block.length; n++) frequencies[n] = Math.round(frequencies[n] / step[n]) * step[n];
      const values = transformed(frequencies, INVERSE);
      for (let n = block.length - 1; n >= 0; n--) plane[at(top, left, n)] = level(values[n] + 128); // the edge itself last
    }
  }
}

// matrix · block · matrixᵀ
function transformed(block, matrix) {
  return product(matrix, product(matrix, block));
}

// The transpose of matrix · block, so that a second product works on the columns.
function product(matrix, block) {
  const out = new Float32Array(SIDE * SIDE);
  for (let row = 0; row < SIDE; row++) {
    for (let column = 0; column < SIDE; column++) {
      let sum = 0;
      for (let n = 0; n < SIDE; n++) sum += matrix[row * SIDE + n] * block[n * SIDE + column];
      out[column * SIDE + row] = sum;
    }
  }
  return out;
}

// JFIF's conversions.
function toYCbCr(rgb) {
  const planes = [0, 1, 2].map(() => new Uint8Array(rgb.length / 3));
  for (let n = 0; n < planes[0].length; n++) {
    const [red, green, blue] = [rgb[3 * n], rgb[3 * n + 1], rgb[3 * n + 2]];
    planes[0][n] = level(0.299 * red + 0.587 * green + 0.114 * blue);
    planes[1][n] = level(128 - 0.168736 * red - 0.331264 * green + 0.5 * blue);
    planes[2][n] = level(128 + 0.5 * red - 0.418688 * green - 0.081312 * blue);
  }
  return planes;
}

function toRgb([brightness, blueness, redness]) {
  const rgb = new Uint8Array(brightness.length * 3);
  brightness.forEach((y, n) => {
    const [cb, cr] = [blueness[n] - 128, redness[n] - 128];
    rgb[3 * n] = level(y + 1.402 * cr);
    rgb[3 * n + 1] = level(y - 0.344136 * cb - 0.714136 * cr);
    rgb[3 * n + 2] = level(y + 1.772 * cb);
  });
  return rgb;
}

function level(value) {
  return Math.min(255, Math.max(0, Math.round(value)));
}

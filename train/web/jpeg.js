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
const BLOCK = SIDE * SIDE;
const CENTER = 128;

// Fractions as integers, and their bits, as libjpeg has them: its accurate transform writes, its fast one reads.
const FORWARD_BITS = 13, KEPT_BITS = 2;
const forward = (fraction) => Math.round(fraction * 2 ** FORWARD_BITS);
const INVERSE_BITS = 8;
const inverse = (fraction) => Math.round(fraction * 2 ** INVERSE_BITS);

// What the fast inverse transform leaves to its input: a factor for each frequency.
const FACTORS = Array.from({ length: SIDE }, (_, k) => (k ? Math.SQRT2 * Math.cos((k * Math.PI) / (2 * SIDE)) : 1));
const FACTOR_BITS = 14;

/**
 * Returns the pixels that a picture has after it was stored as a JPEG without subsampling, and read again: to the bit
 * those that Pillow writes and TensorFlow reads.
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
  const block = new Int32Array(BLOCK);
  const multiples = step.map((one, n) => multiple(one, Math.floor(n / SIDE), n % SIDE));
  const at = (top, left, n) => Math.min(side - 1, top + Math.floor(n / SIDE)) * side + Math.min(side - 1, left + (n % SIDE));
  const original = plane.slice();
  for (let top = 0; top < side; top += SIDE) {
    for (let left = 0; left < side; left += SIDE) {
      for (let n = 0; n < BLOCK; n++) block[n] = original[at(top, left, n)] - CENTER;
      for (let row = 0; row < SIDE; row++) toFrequencies(block, row * SIDE, 1, KEPT_BITS);
      for (let column = 0; column < SIDE; column++) toFrequencies(block, column, SIDE, -KEPT_BITS);
      for (let n = 0; n < BLOCK; n++) block[n] = quotient(block[n], step[n] * SIDE) * multiples[n];
      for (let column = 0; column < SIDE; column++) fromFrequencies(block, column, SIDE);
      for (let row = 0; row < SIDE; row++) fromFrequencies(block, row * SIDE, 1);
      for (let n = BLOCK - 1; n >= 0; n--) plane[at(top, left, n)] = level((block[n] >> (KEPT_BITS + 3)) + CENTER); // the edge itself last
    }
  }
}

function multiple(step, row, column) {
  const factor = Math.round(FACTORS[row] * FACTORS[column] * 2 ** FACTOR_BITS);
  return rounded(step * factor, FACTOR_BITS - KEPT_BITS);
}

function quotient(value, divisor) {
  return Math.sign(value) * Math.floor((Math.abs(value) + (divisor >> 1)) / divisor);
}

// Eight values, `stride` apart, become their frequencies, with `more` bits than they have: libjpeg's jpeg_fdct_islow, after
// C. Loeffler, A. Ligtenberg and G. Moschytz, "Practical Fast 1-D DCT Algorithms with 11 Multiplications", 1989.
function toFrequencies(block, start, stride, more) {
  const value = (n) => block[start + n * stride];
  const [s0, s1, s2, s3] = [0, 1, 2, 3].map((n) => value(n) + value(7 - n));
  const [d0, d1, d2, d3] = [0, 1, 2, 3].map((n) => value(n) - value(7 - n));
  const put = (n, sum) => { block[start + n * stride] = rounded(sum, FORWARD_BITS - more); };

  const [even0, even1, even2, even3] = [s0 + s3, s1 + s2, s1 - s2, s0 - s3];
  const even = (even2 + even3) * forward(0.541196100);
  put(0, (even0 + even1) << FORWARD_BITS);
  put(4, (even0 - even1) << FORWARD_BITS);
  put(2, even + even3 * forward(0.765366865));
  put(6, even - even2 * forward(1.847759065));

  const all = (d0 + d1 + d2 + d3) * forward(1.175875602);
  const outer = -(d3 + d0) * forward(0.899976223);
  const inner = -(d2 + d1) * forward(2.562915447);
  const odd = all - (d3 + d1) * forward(1.961570560);
  const other = all - (d2 + d0) * forward(0.390180644);
  put(7, d3 * forward(0.298631336) + outer + odd);
  put(5, d2 * forward(2.053119869) + inner + other);
  put(3, d1 * forward(3.072711026) + inner + odd);
  put(1, d0 * forward(1.501321110) + outer + other);
}

// And back: jpeg_idct_ifast, after Y. Arai, T. Agui and M. Nakajima, "A Fast DCT-SQ Scheme for Images", 1988. It rounds
// down everywhere, which moves most pixels by one or more.
function fromFrequencies(block, start, stride) {
  const value = (n) => block[start + n * stride];
  const times = (number, fraction) => (number * inverse(fraction)) >> INVERSE_BITS;

  const [sum, difference] = [value(0) + value(4), value(0) - value(4)];
  const both = value(2) + value(6);
  const turned = times(value(2) - value(6), Math.SQRT2) - both;
  const even = [sum + both, difference + turned, difference - turned, sum - both];

  const [far, near] = [value(1) + value(7), value(5) + value(3)];
  const [apart, close] = [value(1) - value(7), value(5) - value(3)];
  const shared = times(close + apart, 1.847759065);
  const odd0 = far + near;
  const odd1 = times(close, -2.613125930) + shared - odd0;
  const odd2 = times(far - near, Math.SQRT2) - odd1;
  const odd3 = -(times(apart, 1.082392200) - shared + odd2);
  [odd0, odd1, odd2, odd3].forEach((odd, n) => {
    block[start + n * stride] = even[n] + odd;
    block[start + (7 - n) * stride] = even[n] - odd;
  });
}

// JFIF's conversions, with fractions of 16 bits.
function toYCbCr(rgb) {
  const planes = [0, 1, 2].map(() => new Uint8Array(rgb.length / 3));
  for (let n = 0; n < planes[0].length; n++) {
    const [red, green, blue] = [rgb[3 * n], rgb[3 * n + 1], rgb[3 * n + 2]];
    planes[0][n] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
    planes[1][n] = (-11059 * red - 21709 * green + 32768 * blue + 0x807fff) >> 16;
    planes[2][n] = (32768 * red - 27439 * green - 5329 * blue + 0x807fff) >> 16;
  }
  return planes;
}

function toRgb([brightness, blueness, redness]) {
  const rgb = new Uint8Array(brightness.length * 3);
  brightness.forEach((y, n) => {
    const [cb, cr] = [blueness[n] - CENTER, redness[n] - CENTER];
    rgb[3 * n] = level(y + rounded(91881 * cr, 16));
    rgb[3 * n + 1] = level(y + rounded(-22554 * cb - 46802 * cr, 16));
    rgb[3 * n + 2] = level(y + rounded(116130 * cb, 16));
  });
  return rgb;
}

// Without its last bits.
function rounded(value, bits) {
  return (value + (1 << (bits - 1))) >> bits;
}

function level(value) {
  return Math.min(255, Math.max(0, value));
}

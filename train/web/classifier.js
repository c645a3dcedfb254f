// The model in this browser: pixels → probabilities, and how near a picture is to those that the model was trained on.

import { Environment, Tensor, loadAndCompile, loadLiteRt, supportsFeature } from "@litertjs/core";

/**
 * Loads the runtime, and the model that lies beside the page.
 * @param {{size: number, color: "rgb"|"gray", threshold: number|null, runtime: Object<string, string>}} about model.json
 * @returns {Promise<function(Uint8Array): Promise<{probabilities: number[], unlike: boolean}>>} what takes the pixels of
 *   a picture, and says how probable each label is, and whether the picture is unlike all that the model was trained on
 */
export async function loadClassifier(about) {
  await loadRuntime(about.runtime);
  const model = await loadAndCompile("model.tflite", { accelerator: "wasm" });
  const { name } = model.getInputDetails()[0];
  const shape = [1, about.size, about.size, about.color === "rgb" ? 3 : 1];
  return async (pixels) => {
    const input = new Tensor(pixels, shape);
    const outputs = await model.run({ [name]: input });
    const probabilities = [...outputs.probabilities.toTypedArray()];
    const unlike = about.threshold !== null && outputs.similarity.toTypedArray()[0] < about.threshold;
    [input, ...Object.values(outputs)].forEach((tensor) => tensor.delete());
    return { probabilities, unlike };
  };
}

// The loader and its binary are fetched here, so that both are held against their hashes; LiteRT.js gets them from memory.
async function loadRuntime(integrityOf) {
  const name = (await supportsFeature("relaxedSimd")) ? "litert_wasm_internal" : "litert_wasm_compat_internal";
  const [loader, binary] = await Promise.all(["js", "wasm"].map((kind) => fetched(`${name}.${kind}`, integrityOf)));
  const create = Environment.create.bind(Environment);
  Environment.create = () => create({ webGpuDevice: null }); // it would look for a GPU, and complain where there is none
  self.Module = { locateFile: () => binary, print: () => {}, printErr: () => {} };
  await loadLiteRt(`${loader}#.js`); // a name that ends in .js is loaded as it is
}

async function fetched(name, integrityOf) {
  const url = Object.keys(integrityOf).find((one) => one.endsWith(`/${name}`));
  const response = await fetch(url, { integrity: integrityOf[url] });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  return URL.createObjectURL(await response.blob());
}

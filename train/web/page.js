// The page: pictures that are chosen, dropped or pasted, and what the model says of each.

import { readPixels } from "./pixels.js";

const SHOWN = 3; // labels per picture

const files = document.querySelector("#files");
const drop = document.querySelector("#drop");
const status = document.querySelector("#status");
const results = document.querySelector("#results");

start().catch((error) => { status.textContent = `The model could not be loaded: ${error.message}`; });

async function start() {
  const { loadClassifier } = await import("./classifier.js"); // here, where it can be said that the runtime is out of reach
  const about = await (await fetch("model.json")).json();
  const classify = await loadClassifier(about);
  let queue = Promise.resolve();
  const add = (list) => {
    const chosen = [...list]; // the browser's own list is emptied with the input
    queue = queue.then(() => classifyAll(chosen, about, classify)).catch((error) => { status.textContent = error.message; });
  };

  files.addEventListener("change", () => { add(files.files); files.value = ""; });
  document.addEventListener("paste", (event) => add(event.clipboardData.files));
  document.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    add(event.dataTransfer.files);
  });
  files.disabled = false;
  status.textContent = "Ready.";
}

async function classifyAll(chosen, about, classify) {
  for (const [index, file] of chosen.entries()) {
    status.textContent = `Looking at picture ${index + 1} of ${chosen.length}…`;
    results.prepend(await resultOf(file, about, classify));
  }
  if (chosen.length) status.textContent = chosen.length === 1 ? "Done." : `Done: ${chosen.length} pictures.`;
}

async function resultOf(file, about, classify) {
  let pixels;
  try {
    pixels = await readPixels(file, about);
  } catch {
    return failedItem(file, "This browser cannot read the file as a picture.");
  }
  return resultItem(file, await classify(pixels), about.labels);
}

function resultItem(file, { probabilities, unlike }, labels) {
  const best = [...probabilities.keys()].sort((a, b) => probabilities[b] - probabilities[a]).slice(0, SHOWN);
  const item = element("li");
  const picture = element("img", { alt: file.name, src: URL.createObjectURL(file) });
  picture.addEventListener("load", () => URL.revokeObjectURL(picture.src));
  const words = element("div");
  const answer = `${labels[best[0]]} ${percent(probabilities[best[0]])}`;
  words.append(element("h2", {}, unlike ? "None of these, perhaps" : answer), element("p", { className: "file" }, file.name));
  if (unlike) words.append(element("p", { className: "warning" }, `Unlike anything the model was trained on; otherwise it says ${answer}.`));
  const list = element("dl");
  for (const label of best) {
    const bar = element("dd", { className: "bar" });
    bar.append(element("meter", { value: probabilities[label], ariaLabel: labels[label] }));
    list.append(element("dt", {}, labels[label]), bar, element("dd", { className: "number" }, percent(probabilities[label])));
  }
  words.append(list);
  Object.assign(item.dataset, { file: file.name, probabilities: JSON.stringify(probabilities), unlike });
  item.append(picture, words);
  return item;
}

function failedItem(file, sentence) {
  const item = element("li", { className: "failed" });
  item.append(element("h2", {}, file.name), element("p", { className: "warning" }, sentence));
  return item;
}

function element(name, properties = {}, text = "") {
  const made = Object.assign(document.createElement(name), properties);
  if (text) made.textContent = text;
  return made;
}

function percent(probability) {
  return `${(100 * probability).toFixed(1)}%`;
}

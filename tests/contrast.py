"""How well the text of a page can be read: the contrast of WCAG 2.2, of which 4.5 is its level AA."""

from typing import Any

AA = 4.5

_LEAST = """() => {
    const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    const parsed = (color) => {
        context.clearRect(0, 0, 1, 1);
        context.fillStyle = color;
        context.fillRect(0, 0, 1, 1);
        const [red, green, blue, alpha] = context.getImageData(0, 0, 1, 1).data;
        return [red, green, blue, alpha / 255];
    };
    const over = (top, below) => below.map((level, n) => (n < 3 ? top[n] * top[3] + level * (1 - top[3]) : 1));
    const luminance = (color) => {
        const linear = color.map((level) => (level <= 10 ? level / 3294.6 : ((level / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
    };
    const contrast = (element) => {
        let [behind, opacity] = [canvas, 1];
        for (const each of lineage(element)) {
            const style = getComputedStyle(each);
            behind = over(parsed(style.backgroundColor), behind);
            opacity *= style.opacity;
        }
        const [red, green, blue, alpha] = parsed(getComputedStyle(element).color);
        const both = [over([red, green, blue, alpha * opacity], behind), behind].map(luminance).sort((a, b) => a - b);
        return (both[1] + 0.05) / (both[0] + 0.05);
    };
    const lineage = (element) => (element ? [...lineage(element.parentElement), element] : []);
    const blank = document.body.appendChild(document.createElement("div"));
    blank.style.backgroundColor = "Canvas";
    const canvas = parsed(getComputedStyle(blank).backgroundColor);
    blank.remove();
    const written = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    const all = [...document.body.querySelectorAll("*")];
    const seen = all.filter((each) => written(each) && each.getClientRects().length);
    const found = seen.map((each) => [contrast(each), each.outerHTML.slice(0, 100)]);
    return found.reduce((least, each) => (each[0] < least[0] ? each : least));
}"""


def least_contrast(page: Any) -> tuple[float, str]:
    """Returns the least contrast between a text on the page and what lies behind it, and where that is."""
    contrast, where = page.evaluate(_LEAST)
    return contrast, where

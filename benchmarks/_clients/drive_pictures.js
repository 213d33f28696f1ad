// Drive the browser page: node drive_pictures.js CHROMIUM URL BUNDLE SCREENSHOTS PICTURE...
// Prints the page's verdict of each picture, one JSON object a line; writes a screenshot of each.
import { basename, join } from "node:path";

import puppeteer from "puppeteer-core";

const [executablePath, url, bundle, screenshots, ...pictures] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  await page.setViewport({ width: 980, height: 640 });
  page.on("request", (request) => {
    if (request.url().startsWith(url) || /^(blob|data):/.test(request.url())) return;
    console.error(`error: the page asked for ${request.url()}`);
    process.exitCode = 2;
  });
  await page.goto(`${url}/index.html`);
  await (await page.$("#bundle")).uploadFile(bundle);
  const state = () => /hashes are right/.test(document.getElementById("state").textContent);
  await page.waitForFunction(state, { timeout: 120000 });
  for (const picture of pictures) {
    // The verdict of the picture before is still shown when the upload starts.
    await page.evaluate(() => delete document.body.dataset.verdict);
    await (await page.$("#picture")).uploadFile(picture);
    const answered = () => document.body.dataset.verdict || document.getElementById("message").textContent;
    await page.waitForFunction(answered, { timeout: 120000 });
    const shown = await page.evaluate(() => ({
      verdict: document.body.dataset.verdict,
      message: document.getElementById("message").textContent,
    }));
    if (!shown.verdict) throw new Error(`${picture}: ${shown.message}`);
    console.log(shown.verdict);
    await page.screenshot({ path: join(screenshots, basename(picture)), fullPage: true });
  }
} finally {
  await browser.close();
}

// Drive the browser page: node drive_page.js CHROMIUM URL SCREENSHOT PICTURE FILE...
// A FILE is a bundle (a folder) or another picture. Prints the page's verdict after each, or its message, one JSON object a line.
import { statSync } from "node:fs";

import puppeteer from "puppeteer-core";

const [executablePath, url, screenshot, picture, ...files] = process.argv.slice(2);
const browser = await puppeteer.launch({ executablePath, args: ["--no-sandbox", "--disable-gpu"] });
try {
  const page = await browser.newPage();
  const foreign = [];
  page.on("request", (request) => {
    if (!request.url().startsWith(url) && !/^(blob|data):/.test(request.url())) foreign.push(request.url());
  });
  page.on("pageerror", (error) => console.error(error.message));
  await page.goto(`${url}/index.html`);
  await (await page.$("#picture")).uploadFile(picture);
  for (const file of files) {
    // The verdict of the file before is still shown when the upload starts.
    await page.evaluate(() => {
      delete document.body.dataset.verdict;
      document.getElementById("message").textContent = "";
    });
    await (await page.$(statSync(file).isDirectory() ? "#bundle" : "#picture")).uploadFile(file);
    await page.waitForFunction(
      () => document.body.dataset.verdict || document.getElementById("message").textContent,
      { timeout: 120000 },
    );
    const shown = await page.evaluate(() => ({
      aspects: ["frame", "map"].map((id) => {
        const { width, height } = document.getElementById(id).getBoundingClientRect();
        return width / height;
      }),
      verdict: JSON.parse(document.body.dataset.verdict ?? "null"),
      message: document.getElementById("message").textContent,
    }));
    console.log(JSON.stringify({ ...shown, foreign }));
    if (file === files[0]) await page.screenshot({ path: screenshot, fullPage: true });
  }
} finally {
  await browser.close();
}

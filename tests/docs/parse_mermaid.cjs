// Parses the diagrams that come on stdin, a JSON list of texts; prints what is wrong with each.
// Mermaid is made for a browser. Parsing needs little of one: without a document that can be
// created it takes labels as they are.
const fs = require("fs");
const vm = require("vm");

const nothing = () => {};
const element = () => ({ style: {}, setAttribute: nothing, appendChild: nothing });
const page = { console, setTimeout, clearTimeout, queueMicrotask, structuredClone, performance, URL };
page.window = page.self = page.globalThis = page;
page.navigator = { userAgent: "" };
page.addEventListener = nothing;
page.document = {
  nodeType: 9, implementation: {}, addEventListener: nothing, createElement: element,
  body: element(), documentElement: element(), querySelector: () => null,
};
page.Element = page.Node = page.DocumentFragment = class {};
vm.createContext(page);
vm.runInContext(fs.readFileSync(process.argv[2], "utf8"), page);

(async () => {
  const found = [];
  for (const text of JSON.parse(fs.readFileSync(0, "utf8"))) {
    try {
      await page.mermaid.parse(text);
      found.push("");
    } catch (error) {
      found.push(String(error));
    }
  }
  console.log(JSON.stringify(found));
})();

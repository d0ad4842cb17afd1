// Asks one API with the server provider, and prints what it said, as JSON.
// Input: {url, key, wrongKey, asks: [[kind, flag, default, context], ...]} as the first argument.
const { OpenFeature } = require("@openfeature/server-sdk");
const { OFREPProvider } = require("@openfeature/ofrep-provider");

const KINDS = {
  boolean: "getBooleanDetails",
  string: "getStringDetails",
  number: "getNumberDetails",
  object: "getObjectDetails",
};

async function ask(given, key, asks) {
  const headers = [["x-api-key", key]];
  await OpenFeature.setProviderAndWait(new OFREPProvider({ baseUrl: given.url, headers }));
  const client = OpenFeature.getClient();
  const told = [];
  for (const [kind, flag, fallback, context] of asks) {
    told.push(await client[KINDS[kind]](flag, fallback, context));
  }
  return told;
}

async function main() {
  const given = JSON.parse(process.argv[2]);
  const told = await ask(given, given.key, given.asks);
  const refused = await ask(given, given.wrongKey, given.asks.slice(0, 1));
  console.log(JSON.stringify({ told, refused }));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

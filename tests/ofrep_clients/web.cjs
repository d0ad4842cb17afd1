// Asks one API with the web provider, and prints what it said and what went over the wire.
// Input: {url, key, wrongKey, change} as the first argument; it says "change" on its output and
// goes on when a line comes in: then the flags have been changed.
const { OpenFeature, ProviderEvents } = require("@openfeature/web-sdk");
const { OFREPWebProvider } = require("@openfeature/ofrep-web-provider");

const POLL_MILLISECONDS = 100;

const wire = [];

async function recording(input, init) {
  const request = new Request(input, init);
  const sent = request.headers.get("if-none-match");
  const answer = await fetch(request);
  wire.push({ sent, status: answer.status, etag: answer.headers.get("etag") });
  return answer;
}

function values(client) {
  return {
    boolean: client.getBooleanDetails("premium", false),
    string: client.getStringDetails("text", "mine"),
    whole: client.getNumberDetails("whole", -1),
    fraction: client.getNumberDetails("fraction", -1),
    object: client.getObjectDetails("object", { mine: true }),
    off: client.getBooleanDetails("off", true),
    share: client.getBooleanDetails("half", false),
    unknown: client.getBooleanDetails("unknown", true),
    mismatch: client.getStringDetails("whole", "mine"),
  };
}

function provider(given, key, options) {
  return new OFREPWebProvider({
    baseUrl: given.url,
    headers: [["x-api-key", key]],
    fetchImplementation: recording,
    cacheMode: "disabled",
    ...options,
  });
}

async function until(condition) {
  for (let tries = 0; tries < 1200; tries++) {
    if (condition()) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`it did not come about: ${JSON.stringify(wire.slice(-5))}`);
}

async function main() {
  const given = JSON.parse(process.argv[2]);
  const told = {};
  await OpenFeature.setContext({ targetingKey: "user-2", plan: "premium" });
  await OpenFeature.setProviderAndWait(provider(given, given.key, { pollInterval: POLL_MILLISECONDS }));
  const client = OpenFeature.getClient();
  told.first = values(client);

  const polled = wire.length;
  await until(() => wire.length >= polled + 2);
  told.polls = wire.slice(polled);

  await OpenFeature.setContext({ targetingKey: "user-2", plan: "free" });
  told.otherAttributes = client.getBooleanDetails("premium", false);
  await OpenFeature.setContext({ targetingKey: "user-3", plan: "premium" });
  told.otherUser = client.getBooleanDetails("half", false);

  const changed = new Promise((done) => client.addHandler(ProviderEvents.ConfigurationChanged, done));
  console.log("change");
  await new Promise((done) => process.stdin.once("data", done));
  await changed;
  await until(() => client.getStringValue("text", "mine") === "neu");
  told.changed = client.getStringDetails("text", "mine");
  told.wire = wire.slice();

  try {
    await OpenFeature.setProviderAndWait(provider(given, given.wrongKey));
    told.refused = "it was let in";
  } catch (error) {
    told.refused = String(error.message);
  }
  told.refusedValue = client.getBooleanDetails("premium", false);
  console.log(JSON.stringify(told));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});

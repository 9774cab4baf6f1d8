// The peers in Node, with the modes and variables of bench/peer_app.py:
//   PEER=bullmq node bench/peer_app.cjs setup | one N | bulk N | pickup N | worker
const fs = require("node:fs");
const { setTimeout: sleep } = require("node:timers/promises");

const PAYLOAD = { user: 42, note: "x".repeat(176) }; // 200 bytes of JSON
const MANY = 1000;
const [mode, amount] = [process.argv[2], Number(process.argv[3] || 0)];
const stamps = fs.openSync(process.env.PEER_STAMPS, "a");
const now = () => Number(process.hrtime.bigint()) / 1e9;

function noop() {
  const at = Buffer.alloc(8);
  at.writeDoubleLE(now());
  fs.writeSync(stamps, at);
}

function bullmq() {
  const { Queue, Worker } = require("bullmq");
  const connection = { host: "127.0.0.1", port: Number(process.env.PEER_REDIS_PORT) };
  const options = { removeOnComplete: true };
  const queue = new Queue("peers", { connection });
  return {
    one: (payload) => queue.add("noop", payload, options),
    bulk: (payloads) => queue.addBulk(payloads.map((data) => ({ name: "noop", data, opts: options }))),
    work: () => new Worker("peers", async () => noop(), { connection, concurrency: 50 }),
  };
}

// Its local queue and batched completion are its fastest settings.
async function graphile() {
  const { makeWorkerUtils, run, Logger } = require("graphile-worker");
  const logger = new Logger(() => () => {});
  const utils = await makeWorkerUtils({ logger });
  await utils.migrate();
  return {
    one: (payload) => utils.addJob("noop", payload),
    bulk: (payloads) => utils.addJobs(payloads.map((payload) => ({ identifier: "noop", payload }))),
    work: () =>
      run({
        logger,
        concurrency: 24,
        maxPoolSize: 10,
        taskList: { noop: async () => noop() },
        preset: { worker: { localQueue: { size: 500 }, completeJobBatchDelay: 0 } },
      }),
  };
}

async function pickup(peer) {
  const took = [];
  for (let sample = 0; sample < amount; sample++) {
    const before = fs.fstatSync(stamps).size;
    const began = now();
    await peer.one(PAYLOAD);
    while (fs.fstatSync(stamps).size === before) await sleep(1);
    took.push((fs.readFileSync(process.env.PEER_STAMPS).readDoubleLE(before) - began) * 1000);
    await sleep(15);
  }
  took.sort((a, b) => a - b);
  return { p50: took[Math.floor(amount / 2)], p99: took[Math.floor(amount * 0.99)] };
}

async function perSecond(jobs, size, call) {
  const began = now();
  for (let done = 0; done < jobs; done += size) await call();
  return { per_second: jobs / (now() - began) };
}

async function main() {
  const peer = await { bullmq, graphile }[process.env.PEER]();
  if (mode === "worker") return peer.work();
  let found = {};
  if (mode === "one") {
    await peer.one(PAYLOAD); // connects
    found = await perSecond(amount, 1, () => peer.one(PAYLOAD));
  } else if (mode === "bulk") {
    found = await perSecond(amount, MANY, () => peer.bulk(Array(MANY).fill(PAYLOAD)));
  } else if (mode === "pickup") {
    found = await pickup(peer);
  }
  console.log(JSON.stringify(found));
  process.exit(0);
}

main();

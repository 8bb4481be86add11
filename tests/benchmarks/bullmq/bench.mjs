import { Queue, Worker } from 'bullmq';
const [port, events, size] = process.argv.slice(2).map(Number);
const connection = { host: '127.0.0.1', port };
const name = `bench-${Date.now()}`;
const queue = new Queue(name, { connection });
await queue.waitUntilReady();
const body = 'x'.repeat(size);
let began = process.hrtime.bigint();
for (let at = 0; at < events; at += 1000) {
  const jobs = [];
  for (let each = at; each < Math.min(at + 1000, events); each++) jobs.push({ name: 'x', data: { body }, opts: { removeOnComplete: true } });
  await queue.addBulk(jobs);
}
const emit = Number(process.hrtime.bigint() - began) / 1e9;
let done = 0, finish;
const all = new Promise((resolve) => (finish = resolve));
began = process.hrtime.bigint();
const worker = new Worker(name, async () => {}, { connection, concurrency: 100 });
worker.on('completed', () => { if (++done === events) finish(); });
await all;
const handled = Number(process.hrtime.bigint() - began) / 1e9;
await worker.close(); await queue.obliterate({ force: true }); await queue.close();
console.log(JSON.stringify({ emit: events / emit, handled: events / handled }));
process.exit(0);

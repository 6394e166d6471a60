// Every call of Turbopuffer's client for TypeScript: `node turbopuffer_calls.mjs FOLDER BASE_URL`.
// FOLDER is where it is installed. Prints the names of the calls that did what they should.

import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import assert from 'node:assert';

const [folder, baseURL] = process.argv.slice(2);
const required = createRequire(folder + '/');
const { Turbopuffer } = required('@turbopuffer/turbopuffer');
const installed = `${folder}/node_modules/@turbopuffer/turbopuffer/package.json`;
const { version } = JSON.parse(readFileSync(installed));

const done = new Set();
const saw = (name, holds) => {
  assert(holds, name);
  done.add(name);
};

const prefix = 'ts-';
const q = { rank_by: ['id', 'asc'], top_k: 10 };
const compressions = [false, true];
for (const compression of compressions) {
  const client = new Turbopuffer({ apiKey: 'tpuf_any', baseURL, maxRetries: 0, compression });
  const name = `${prefix}a-${compression}`;
  const ns = client.namespace(name);
  saw('exists', !(await ns.exists()));
  const rows = [1, 2, 3, 4, 5].map((n) => ({ id: n, vector: [n, 1.5], t: `t ${n} `.repeat(400) }));
  const written = await ns.write({ upsert_rows: rows, distance_metric: 'euclidean_squared' });
  saw('write', written.rows_affected === 5);
  const found = await ns.query({ rank_by: ['vector', 'ANN', [3, 1.5]], top_k: 1, include_attributes: true });
  saw('query', found.rows[0].id === 3 && found.rows[0]._hevlayer_upserted_at > 0);
  const both = await ns.multiQuery({ queries: [q, { ...q, top_k: 2 }] });
  saw('multiQuery', both.results.map((result) => result.rows.length).join() === '5,2');
  saw('explainQuery', (await ns.explainQuery(q)).plan_text.length > 0);
  saw('metadata', 't' in (await ns.metadata()).schema);
  saw('schema', '_hevlayer_upserted_at' in (await ns.schema()));
  saw('updateSchema', 't' in (await ns.updateSchema({ schema: { t: { type: 'string' } } })));
  saw('updateMetadata', 't' in (await ns.updateMetadata({ pinning: null })).schema);
  saw('hintCacheWarm', ['ACCEPTED', 'OK'].includes((await ns.hintCacheWarm()).status));
  saw('recall', (await ns.recall({})).avg_recall > 0);
  const copy = client.namespace(`${prefix}copy-${compression}`);
  const copied = await copy.copyFrom({ source_namespace: name });
  saw('copyFrom', copied.rows_affected === 5);
  const branch = client.namespace(`${prefix}branch-${compression}`);
  await branch.branchFrom({ source_namespace: name });
  saw('branchFrom', (await branch.query(q)).rows.length === 5);
  const listed = [];
  for await (const entry of client.namespaces({ prefix, page_size: 2 })) listed.push(entry.id);
  saw('namespaces', listed.includes(name));
  await ns.deleteAll();
  saw('deleteAll', !(await ns.exists()));
  const kind = Object.getPrototypeOf(ns);
  const calls = Object.getOwnPropertyNames(kind).filter((name) => name !== 'constructor');
  assert.deepStrictEqual([...done].sort(), [...calls, 'namespaces'].sort());
}
console.log(`turbopuffer ${version}:`, [...done].sort().join(' '));

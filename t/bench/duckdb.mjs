// SPDX-License-Identifier: BSD-2-Clause
// A DuckDB that runs: SQL on stdin, one statement a line; for each a line of
// JSON with the milliseconds it took and its rows.  DUCKDB: the folder in whose
// node_modules @duckdb/node-api is; the argument is the database.
import {createRequire} from "node:module";
import {createInterface} from "node:readline";

const require = createRequire(process.env.DUCKDB + "/");
const {DuckDBInstance} = require("@duckdb/node-api");
const database = await DuckDBInstance.create(process.argv[2]);
const connection = await database.connect();
const plain = (key, value) => typeof value === "bigint" ? String(value) : value;

for await (const sql of createInterface({input: process.stdin})) {
	const begin = process.hrtime.bigint();
	let answer;

	try {
		const rows = (await connection.runAndReadAll(sql)).getRows();

		answer = {ms: Number(process.hrtime.bigint() - begin) / 1e6, rows};
	} catch (error) {
		answer = {error: String(error)};
	}
	console.log(JSON.stringify(answer, plain));
}

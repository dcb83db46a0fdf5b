import { parentPort } from "node:worker_threads"

parentPort!.postMessage("here")
while (true);

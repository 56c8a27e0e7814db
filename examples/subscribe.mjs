// subscribe.mjs URL KEY - needs ws (npm install ws, or node-ws)
import WebSocket from "ws";
import { connect } from "/usr/share/evhub/web/evhub.js";

const [url, key] = process.argv.slice(2);
const hub = connect({ url, key, types: ["pdfm", "health"], WebSocket });

hub.on("pdfm", (event) => console.log(event.message, event.body));
hub.onreload = (reason) => console.log("events were missed that are gone:", reason);
hub.onstate = (state, why) => console.error(state, why ?? "");

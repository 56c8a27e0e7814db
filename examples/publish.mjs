// publish.mjs URL KEY - by HTTP, from anywhere: URL is like http://127.0.0.1:8080/api/v1/ws
const [url, key] = process.argv.slice(2);

const answer = await fetch(url + "/events", {
	method: "POST",
	headers: { "X-Api-Key": key, "Content-Type": "application/json" },
	body: JSON.stringify({ event_type: "pdfm", message: "VM_STATE_CHANGED", body: { vm_id: "4711", from: "Node" } }),
});
if (!answer.ok) throw new Error((await answer.json()).message);
console.log("committed as", (await answer.json()).id);

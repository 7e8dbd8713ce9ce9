// A registry of packages on this machine that has the tarballs and nothing else: what an installer resolves from it, optional
// packages by system and processor above all, is what it would resolve once they are published.
import { createHash } from "node:crypto"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"

/** Serves until it is closed; gives its address. */
export const serve = async (packed) => {
  const documents = new Map()
  const files = new Map()
  const server = http.createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? "")
    const body = documents.get(url.slice(1)) ?? files.get(url)
    response.writeHead(body === undefined ? 404 : 200, { "content-type": "application/json" })
    response.end(body ?? "{}")
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = `http://127.0.0.1:${server.address().port}`
  for (const { manifest, name, tarball, version } of packed) {
    const content = fs.readFileSync(tarball)
    const file = `/-/${path.basename(tarball)}`
    const integrity = `sha512-${createHash("sha512").update(content).digest("base64")}`
    files.set(file, content)
    documents.set(
      name,
      JSON.stringify({
        name,
        "dist-tags": { latest: version },
        versions: { [version]: { ...manifest, dist: { tarball: `${address}${file}`, integrity } } }
      })
    )
  }
  return { address, close: () => server.close() }
}

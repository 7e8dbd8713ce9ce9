// Builds the site of guide and reference into docs/build/site, and checks that every link in it leads somewhere. With --browser it is also
// opened in a headless Chromium: navigation, search, no errors; pictures are left beside the site for a person to look at. --built takes
// the site as it is.
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import { createRequire } from "node:module"
import * as path from "node:path"
import { root } from "./support/tarballs.mjs"

const docs = path.join(root, "docs")
const site = path.join(docs, "build/site")
const problems = []

if (!process.argv.includes("--built")) {
  execFileSync(path.join(docs, "node_modules/.bin/typedoc"), [], { cwd: docs, stdio: "inherit" })
}

const pages = fs.readdirSync(site, { recursive: true }).filter((name) => name.endsWith(".html"))
const texts = new Map(pages.map((page) => [page, fs.readFileSync(path.join(site, page), "utf8")]))
const icons = "assets/icons.svg"
const anchors = new Map(
  [...texts, [icons, fs.readFileSync(path.join(site, icons), "utf8")]].map((
    [page, text]
  ) => [page, new Set([...text.matchAll(/\sid="([^"]+)"/g)].map(([, id]) => id))])
)
const plain = (text) => text.replaceAll("&amp;", "&").replaceAll("&#39;", "'").replaceAll("&quot;", "\"")
let count = 0
for (const [page, text] of texts) {
  for (const [, attribute] of text.matchAll(/\s(?:href|src)="([^"]*)"/g)) {
    const link = plain(attribute)
    if (/^(https?:|data:|mailto:)/.test(link)) continue
    count++
    const [file, anchor] = link.split("#")
    const target = file === "" ? page : path.posix.normalize(path.posix.join(path.posix.dirname(page), decodeURI(file)))
    if (!fs.existsSync(path.join(site, target))) problems.push(`${page}: ${link} leads nowhere`)
    else if (anchor !== undefined && anchor !== "" && !anchors.get(target)?.has(decodeURIComponent(anchor))) {
      problems.push(`${page}: ${link}: there is no such place on ${target}`)
    }
  }
}
console.log(`${pages.length} pages, ${count} links within the site`)
if (count === 0) problems.push("no page has a link; the site was not looked at")

const browserPath = () =>
  [process.env["CHROMIUM"], "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((file) =>
    file !== undefined && fs.existsSync(file)
  )

const types = {
  ".html": "text/html",
  ".css": "text/css",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
  ".json": "application/json"
}

const browse = async () => {
  const executablePath = browserPath()
  if (executablePath === undefined) {
    problems.push("there is no browser: install Debian's package chromium, or name one by the variable CHROMIUM")
    return
  }
  const { chromium } = createRequire(path.join(docs, "package.json"))("playwright-core")
  const server = http.createServer((request, response) => {
    // What a browser asks for by itself.
    if (request.url === "/favicon.ico") return response.writeHead(204).end()
    const file = path.join(site, path.posix.normalize(decodeURI(new URL(request.url, "http://localhost").pathname)))
    fs.readFile(file, (error, data) => {
      response.writeHead(error === null ? 200 : 404, {
        "content-type": types[path.extname(file)] ?? "application/octet-stream"
      })
      response.end(error === null ? data : "")
    })
  })
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve))
  const url = (page) => `http://127.0.0.1:${server.address().port}/${page}`
  const browser = await chromium.launch({
    executablePath,
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync"
    ]
  })
  try {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    page.setDefaultTimeout(15_000)
    page.on("console", (message) => {
      if (message.type() === "error") problems.push(`the console says: ${message.text()}`)
    })
    page.on("pageerror", (error) => problems.push(`the page fails: ${error.message}`))
    page.on("response", (response) => {
      if (response.status() >= 400) problems.push(`${response.url()}: ${response.status()}`)
    })

    // The guide, the modules, and some of the many pages of each kind open without an error.
    const some = pages.filter((name, i) => /^(documents|modules)\/|^[^/]*$/.test(name) || i % 10 === 0)
    for (const name of some) await page.goto(url(name))

    // From the start to a chapter, by the navigation.
    await page.goto(url("index.html"))
    await page.locator("nav.tsd-navigation a", { hasText: "4. Scopes and termination" }).first().click()
    await page.getByRole("heading", { name: "Scopes and termination", level: 1 }).waitFor()
    await page.screenshot({ path: path.join(docs, "build/chapter.png") })

    // To an export, by the search.
    await page.keyboard.press("/")
    await page.locator("#tsd-search-input").fill("startReady")
    await page.locator("#tsd-search-results li", { hasText: "startReady" }).first().waitFor()
    await page.screenshot({ path: path.join(docs, "build/search.png") })
    await page.locator("#tsd-search-results a", { hasText: "startReady" }).first().click()
    await page.waitForURL(/startReady/)
    await page.locator("h1", { hasText: "startReady" }).waitFor()
    await page.screenshot({ path: path.join(docs, "build/reference.png") })
    console.log(`${some.length} pages opened in ${path.basename(executablePath)}; pictures are in docs/build`)
  } catch (error) {
    problems.push(String(error))
  } finally {
    await browser.close()
    server.close()
  }
}
if (process.argv.includes("--browser")) await browse()

for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

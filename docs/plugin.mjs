// The modules of the reference by the names that a program imports, and documents by their own headings.
import { Converter, ReflectionKind } from "typedoc"

const names = new Map([
  ["process/src", "effect-process"],
  ["node/src", "@effect-process/node"],
  ["spawn-server/src", "@effect-process/spawn-server"],
  ["vitest/src", "@effect-process/vitest"]
])

/** @param {import("typedoc").Application} app */
export const load = (app) => {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.getChildrenByKind(ReflectionKind.Module)) {
      module.name = names.get(module.name) ?? module.name
    }
    for (const document of project.documents ?? []) {
      const heading = /^# (.*)$/m.exec(document.content.map(({ text }) => text).join(""))?.[1]?.replaceAll("`", "")
      // Chapters have a title with their number.
      if (!/^\d/.test(document.name) && heading !== undefined) document.name = heading
    }
  })
}

/** As noProcess, with a tracer that drops its spans: what making and filling them costs, without an exporter. */
import { Context, DefaultServices, Layer, Tracer } from "effect"
import { open as openOn } from "./effectProcess.ts"
import { layer } from "./noProcess.ts"
import type { Session } from "./Peer.ts"

const effects = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Another one than Effect's own, of which no spans are made. */
const tracer = Tracer.make({ context: (f, fiber) => effects.context(f, fiber), span: (...all) => effects.span(...all) })

export const open = (): Promise<Session> => openOn(Layer.provideMerge(layer, Layer.setTracer(tracer)))

import Queue
import Stage
import System

/// Draws who writes to whom: stages, queues, and what lies between or behind them.
struct PipelineGraph: Sendable {
    struct Node: Sendable, Equatable {
        enum Kind: String, Sendable { case stage, gone, queue, place, telegram }

        let kind: Kind
        let title: String
        /// Further lines about the node.
        let details: [String]
    }

    struct Edge: Sendable, Hashable {
        let from: Int
        let to: Int
        /// The types that go this way, or the name of a FIFO; empty for all types through a pipe.
        let label: String
    }

    private(set) var nodes: [Node] = []
    private(set) var edges: [Edge] = []

    /// The tools that receive from Telegram, and those that send there.
    private static let receivers: Set<String> = ["tg-listen", "tg-history"]
    private static let senders: Set<String> = ["tg-send"]

    private struct Place: Hashable {
        let kind: StageEndpoint.Kind
        let name: String
        let id: String?
        /// The machine of a pipe or file; nil for queues, which all machines share.
        let host: String?

        init(_ endpoint: StageEndpoint, host: String) {
            (kind, id) = (endpoint.kind, endpoint.id)
            // The two ends of a FIFO may know it by different names.
            name = endpoint.id == nil ? endpoint.name : ""
            self.host = endpoint.kind == .queue ? nil : host
        }
    }

    private struct Ends {
        var name = ""
        var writers: [(node: Int, types: [String])] = []
        var readers: [Int] = []
    }

    init(_ state: PipelineState) {
        var places: [Place: Ends] = [:]
        var order: [Place] = []
        var telegram: Int?
        func note(_ endpoint: StageEndpoint, _ host: String, _ change: (inout Ends) -> Void) {
            let place = Place(endpoint, host: host)
            if places[place] == nil { order.append(place) }
            change(&places[place, default: Ends()])
            if !endpoint.name.isEmpty { places[place]?.name = endpoint.name }
        }
        for stage in state.stages {
            let node = add(PipelineGraph.node(of: stage))
            guard let beat = stage.heartbeat else { continue }
            for endpoint in beat.from { note(endpoint, stage.host) { $0.readers.append(node) } }
            for endpoint in beat.to { note(endpoint, stage.host) { $0.writers.append((node, endpoint.types)) } }
            let (receives, sends) = (
                PipelineGraph.receivers.contains(beat.tool), PipelineGraph.senders.contains(beat.tool)
            )
            guard receives || sends else { continue }
            let other = telegram ?? add(Node(kind: .telegram, title: "Telegram", details: []))
            telegram = other
            edges.append(receives ? Edge(from: other, to: node, label: "") : Edge(from: node, to: other, label: ""))
        }
        var queues: [String: QueueState] = [:]
        for queue in state.queues {
            queues[queue.name] = queue
            note(StageEndpoint(.queue, queue.name), "") { _ in }
        }
        for place in order {
            guard let ends = places[place] else { continue }
            connect(place, ends, queues[ends.name])
        }
    }

    private mutating func connect(_ place: Place, _ ends: Ends, _ queue: QueueState?) {
        let isDirect = place.id != nil && !ends.writers.isEmpty && !ends.readers.isEmpty
        if isDirect {
            for writer in ends.writers {
                for reader in ends.readers {
                    edges.append(Edge(from: writer.node, to: reader, label: writer.types.joined(separator: ", ")))
                }
            }
            return
        }
        switch place.kind {
        // The program at the other end of a pipe has no heartbeat, and a terminal is no place.
        case .pipe, .terminal, .other: return
        case .queue, .fifo, .file, .command:
            let details = queue.map { queue in
                ["\(queue.stats.events) events"] + (queue.stats.dead > 0 ? ["\(queue.stats.dead) dead"] : [])
            }
            let node = add(
                Node(
                    kind: place.kind == .queue ? .queue : .place, title: ends.name,
                    details: details ?? [place.kind.rawValue]))
            for writer in ends.writers {
                edges.append(Edge(from: writer.node, to: node, label: writer.types.joined(separator: ", ")))
            }
            for reader in ends.readers { edges.append(Edge(from: node, to: reader, label: "")) }
        }
    }

    private mutating func add(_ node: Node) -> Int {
        nodes.append(node)
        return nodes.count - 1
    }

    private static func node(of stage: StageState) -> Node {
        let place = "\(stage.host) \(stage.processID)"
        guard let beat = stage.heartbeat else {
            return Node(kind: .gone, title: stage.tool, details: [place, stage.isGone ? "gone" : "unreadable"])
        }
        var details = [
            place, "in \(TopTable.rate(beat.rates.taken))/s, out \(TopTable.rate(beat.rates.written))/s",
        ]
        if beat.counts.failed > 0 { details.append("\(beat.counts.failed) failed") }
        if stage.summary != "ok" { details.append(stage.summary) }
        return Node(kind: .stage, title: stage.tool, details: details)
    }

    /// The graph in the language of Graphviz.
    var dot: String {
        var lines = ["digraph tgpipe {", "  rankdir=LR;", "  node [fontname=\"sans-serif\"];"]
        for (index, node) in nodes.enumerated() {
            let shape =
                switch node.kind {
                case .stage: "box"
                case .gone: "box,style=dashed"
                case .queue: "cylinder"
                case .place: "note"
                case .telegram: "oval"
                }
            let text = ([node.title] + node.details).map(PipelineGraph.escaped).joined(separator: "\\n")
            lines.append("  n\(index) [shape=\(shape),label=\"\(text)\"];")
        }
        for edge in edges {
            let label = edge.label.isEmpty ? "" : " [label=\"\(PipelineGraph.escaped(edge.label))\"]"
            lines.append("  n\(edge.from) -> n\(edge.to)\(label);")
        }
        return lines.joined(separator: "\n") + "\n}\n"
    }

    private static func escaped(_ text: String) -> String {
        text.printable.reduce(into: "") { text, character in
            if character == "\"" || character == "\\" { text += "\\" }
            text.append(character)
        }
    }
}

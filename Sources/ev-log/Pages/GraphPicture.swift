/// Draws a graph of the pipeline as SVG: sources on the left, and each stage to the right of those that write to it.
struct GraphPicture {
    private static let width = 190
    private static let gapX = 110
    private static let gapY = 18
    private static let lineHeight = 16
    /// The most characters of a line that fit a box.
    private static let mostCharacters = 26

    private struct Box {
        var x = 0
        var y = 0
        var height = 0
    }

    let svg: HTML

    init(_ graph: PipelineGraph) {
        let layers = GraphPicture.layers(graph)
        var boxes = [Box](repeating: Box(), count: graph.nodes.count)
        var heights: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            let layer = layers[index]
            let height = (1 + node.details.count) * GraphPicture.lineHeight + 12
            let y = heights[layer] ?? 10
            boxes[index] = Box(x: 10 + layer * (GraphPicture.width + GraphPicture.gapX), y: y, height: height)
            heights[layer] = y + height + GraphPicture.gapY
        }
        let width = 20 + ((layers.max() ?? 0) + 1) * (GraphPicture.width + GraphPicture.gapX) - GraphPicture.gapX
        let height = max(60, heights.values.max() ?? 0)
        let edges = graph.edges.map { GraphPicture.edge($0, boxes) }
        let nodes = graph.nodes.enumerated().map { GraphPicture.node($1, boxes[$0]) }
        svg = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" role="img">
            <title>The live pipeline</title>
            <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
            <path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>
            \(edges)\(nodes)</svg>
            """
    }

    /// Returns the column of each node: one more than the highest of those that write to it. Edges that close a circle do not count.
    private static func layers(_ graph: PipelineGraph) -> [Int] {
        var outgoing = [[Int]](repeating: [], count: graph.nodes.count)
        for edge in graph.edges where edge.from != edge.to { outgoing[edge.from].append(edge.to) }
        // Depth first: an edge back to a node that is being visited closes a circle.
        var state = [Int](repeating: 0, count: graph.nodes.count)
        var order: [Int] = []
        var forward = [[Int]](repeating: [], count: graph.nodes.count)
        // Sources come first, so that circles are cut behind them.
        let targets = Set(graph.edges.map(\.to))
        let starts = graph.nodes.indices.filter { !targets.contains($0) } + graph.nodes.indices
        for start in starts where state[start] == 0 {
            var stack = [(node: start, next: 0)]
            state[start] = 1
            while let top = stack.last {
                guard top.next < outgoing[top.node].count else {
                    state[top.node] = 2
                    order.append(top.node)
                    stack.removeLast()
                    continue
                }
                stack[stack.count - 1].next += 1
                let target = outgoing[top.node][top.next]
                if state[target] != 1 { forward[top.node].append(target) }
                if state[target] == 0 {
                    state[target] = 1
                    stack.append((target, 0))
                }
            }
        }
        var layers = [Int](repeating: 0, count: graph.nodes.count)
        for node in order.reversed() {
            for target in forward[node] { layers[target] = max(layers[target], layers[node] + 1) }
        }
        return layers
    }

    private static func edge(_ edge: PipelineGraph.Edge, _ boxes: [Box]) -> HTML {
        let (from, to) = (boxes[edge.from], boxes[edge.to])
        let (startX, startY) = (from.x + width, from.y + from.height / 2)
        let (endX, endY) = (to.x - 2, to.y + to.height / 2)
        let bend = max(40, abs(endX - startX) / 2)
        let path: HTML = """
            <path class="edge" marker-end="url(#arrow)" d="M\(startX) \(startY)C\(startX + bend) \(startY) \(endX - bend) \(endY) \
            \(endX) \(endY)"/>
            """
        guard !edge.label.isEmpty else { return path }
        return
            "\(path)<text class=\"label\" x=\"\((startX + endX) / 2)\" y=\"\((startY + endY) / 2 - 4)\">\(shortened(edge.label, 24))</text>"
    }

    private static func node(_ node: PipelineGraph.Node, _ box: Box) -> HTML {
        let lines: [HTML] = ([node.title] + node.details).enumerated().map { index, line in
            let kind = index == 0 ? "name" : "detail"
            return
                "<text class=\"\(kind)\" x=\"\(box.x + 8)\" y=\"\(box.y + 18 + index * lineHeight)\">\(shortened(line, mostCharacters))</text>"
        }
        return """
            <g class="\(node.kind.rawValue)"><title>\(([node.title] + node.details).joined(separator: ", "))</title>\
            <rect x="\(box.x)" y="\(box.y)" width="\(width)" height="\(box.height)" rx="6"/>\(lines)</g>

            """
    }

    private static func shortened(_ text: String, _ count: Int) -> String {
        text.count <= count ? text : text.prefix(count - 1) + "…"
    }
}

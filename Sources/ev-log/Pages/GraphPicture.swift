import System

/// Draws a graph of the pipeline as SVG: sources on the left, and each stage to the right of those that write to it.
struct GraphPicture {
    /// The width of a box: the longest line between two paddings of 8.
    private static let width = mostCells * cellWidth / 10 + 16
    /// The distance of two columns: enough for the longest label, or for an arrow.
    private static let wideGap = mostLabelCells * cellWidth / 10 + 20
    private static let narrowGap = 80
    private static let gapY = 18
    private static let lineHeight = 16
    private static let margin = 10
    /// The room beside the first and the last column for edges that turn back, and the distance of such edges below the boxes.
    private static let turn = 40
    private static let laneHeight = 14
    /// The longest line of a box and the longest label, in cells: the width of a Latin letter.
    private static let mostCells = 26
    private static let mostLabelCells = 24
    /// The width of a cell in tenths of a pixel: 0.6 of the size of the letters, as in most typefaces of fixed width.
    private static let cellWidth = 72

    private struct Box {
        var x = 0
        var y = 0
        var height = 0
    }

    let svg: HTML

    init(_ graph: PipelineGraph) {
        let layers = GraphPicture.layers(graph)
        let turning = graph.edges.filter { layers[$0.from] >= layers[$0.to] }
        let gaps = GraphPicture.gaps(graph, layers)
        let left = turning.isEmpty ? GraphPicture.margin : GraphPicture.turn
        var boxes = [Box](repeating: Box(), count: graph.nodes.count)
        let columns = gaps.reduce(into: [left]) { $0.append($0[$0.count - 1] + GraphPicture.width + $1) }
        var heights: [Int: Int] = [:]
        for (index, node) in graph.nodes.enumerated() {
            let layer = layers[index]
            let height = (1 + node.details.count) * GraphPicture.lineHeight + 12
            let y = heights[layer] ?? GraphPicture.margin
            boxes[index] = Box(x: columns[layer], y: y, height: height)
            heights[layer] = y + height + GraphPicture.gapY
        }
        let width = columns[columns.count - 1] + GraphPicture.width + left
        let bottom = max(60, heights.values.max() ?? 0)
        let height = bottom + turning.count * GraphPicture.laneHeight
        var lane = bottom
        let edges: [HTML] = graph.edges.map { edge in
            guard layers[edge.from] >= layers[edge.to] else {
                return GraphPicture.edge(
                    edge, boxes, isLong: layers[edge.to] > layers[edge.from] + 1, gap: gaps[layers[edge.to] - 1])
            }
            defer { lane += GraphPicture.laneHeight }
            return GraphPicture.turningEdge(edge, boxes, lane: lane)
        }
        let nodes = graph.nodes.enumerated().map { GraphPicture.node($1, boxes[$0]) }
        svg = """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" role="img">
            <title>The live pipeline</title>
            <defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">\
            <path d="M0 0L8 4L0 8z" class="tip"/></marker></defs>
            \(edges)\(nodes)</svg>
            """
    }

    /// Returns the distance of each column to the next one, which must have room for the labels before the boxes that they lead to.
    private static func gaps(_ graph: PipelineGraph, _ layers: [Int]) -> [Int] {
        var gaps = [Int](repeating: narrowGap, count: layers.max() ?? 0)
        for edge in graph.edges where !edge.label.isEmpty && layers[edge.to] > layers[edge.from] {
            gaps[layers[edge.to] - 1] = wideGap
        }
        return gaps
    }

    /// Returns the column of each node: one more than the highest of those that write to it. Edges that close a circle do not count.
    private static func layers(_ graph: PipelineGraph) -> [Int] {
        var outgoing = [[Int]](repeating: [], count: graph.nodes.count)
        for edge in graph.edges where edge.from != edge.to { outgoing[edge.from].append(edge.to) }
        // Depth first: an edge back to a node that is being visited closes a circle.
        var state = [Int](repeating: 0, count: graph.nodes.count)
        var order: [Int] = []
        var forward = [[Int]](repeating: [], count: graph.nodes.count)
        // Sources come first, so that circles are cut behind them; the circle of a whole bot begins with Telegram.
        let targets = Set(graph.edges.map(\.to))
        let sources = graph.nodes.indices.filter { !targets.contains($0) || graph.nodes[$0].kind == .telegram }
        let starts = sources + graph.nodes.indices
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

    /// - Parameter isLong: whether the edge passes behind the boxes of columns in between, where a label would be hidden.
    private static func edge(_ edge: PipelineGraph.Edge, _ boxes: [Box], isLong: Bool, gap: Int) -> HTML {
        let (from, to) = (boxes[edge.from], boxes[edge.to])
        let (startX, startY) = (from.x + width, from.y + from.height / 2)
        let (endX, endY) = (to.x - 2, to.y + to.height / 2)
        let bend = max(40, abs(endX - startX) / 2)
        let path: HTML = """
            <path class="edge" marker-end="url(#arrow)" d="M\(startX) \(startY)C\(startX + bend) \(startY) \(endX - bend) \(endY) \
            \(endX) \(endY)"/>
            """
        let middle = isLong ? (x: endX - gap / 2, y: endY) : (x: (startX + endX) / 2, y: (startY + endY) / 2)
        return "\(path)\(label(edge, x: middle.x, y: middle.y - 4))"
    }

    /// Draws an edge to an earlier column below all boxes, which it would cross otherwise.
    private static func turningEdge(_ edge: PipelineGraph.Edge, _ boxes: [Box], lane: Int) -> HTML {
        let (from, to) = (boxes[edge.from], boxes[edge.to])
        let (startX, startY) = (from.x + width, from.y + from.height / 2)
        let (endX, endY) = (to.x - 2, to.y + to.height / 2)
        let path: HTML = """
            <path class="edge" marker-end="url(#arrow)" d="M\(startX) \(startY)C\(startX + turn) \(startY) \(startX + turn) \(lane) \
            \(startX) \(lane)L\(endX) \(lane)C\(endX - turn) \(lane) \(endX - turn) \(endY) \(endX) \(endY)"/>
            """
        return "\(path)\(label(edge, x: (startX + endX) / 2, y: lane - 4))"
    }

    private static func label(_ edge: PipelineGraph.Edge, x: Int, y: Int) -> HTML {
        edge.label.isEmpty ? "" : text("label", edge.label, most: mostLabelCells, x: x, y: y)
    }

    private static func node(_ node: PipelineGraph.Node, _ box: Box) -> HTML {
        let lines: [HTML] = ([node.title] + node.details).enumerated().map { index, line in
            text(
                index == 0 ? "name" : "detail", line, most: mostCells, x: box.x + 8, y: box.y + 18 + index * lineHeight)
        }
        return """
            <g class="\(node.kind.rawValue)"><title>\(([node.title] + node.details).joined(separator: ", "))</title>\
            <rect x="\(box.x)" y="\(box.y)" width="\(width)" height="\(box.height)" rx="6"/>\(lines)</g>

            """
    }

    /// Draws a line of text, shortened to a number of cells. The length is set, because typefaces differ, and a stranger's characters
    /// may be of any width.
    private static func text(_ kind: String, _ text: String, most: Int, x: Int, y: Int) -> HTML {
        let line = text.printable
        var (shown, cells) = ("", 0)
        for character in line {
            let width = GraphPicture.cells(character)
            guard cells + width <= most else {
                while cells >= most, let last = shown.popLast() { cells -= GraphPicture.cells(last) }
                (shown, cells) = (shown + "…", cells + 1)
                break
            }
            (shown, cells) = (shown + String(character), cells + width)
        }
        guard cells > 0 else { return "" }
        let length = cells * cellWidth / 10
        return """
            <text class="\(kind)" x="\(x)" y="\(y)" textLength="\(length)" lengthAdjust="spacingAndGlyphs">\(shown)</text>
            """
    }

    /// Returns 2 for the characters of scripts that are written in squares, and for pictures.
    private static func cells(_ character: Character) -> Int {
        character.unicodeScalars.contains { $0.value >= 0x1100 } ? 2 : 1
    }
}

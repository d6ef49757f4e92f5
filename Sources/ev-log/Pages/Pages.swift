import Envelope
import JSON
import LogStore
import Stage
import System

/// The answer to a request.
struct Page: Sendable {
    var status = 200
    let contentType: String
    let body: String

    static func text(_ text: String, status: Int = 200) -> Page {
        Page(status: status, contentType: "text/plain; charset=utf-8", body: text)
    }
}

/// Makes the pages.
struct Pages: Sendable {
    private static let latest = 40
    private static let mostLines = 2000

    private let source: LiveSource
    private let folder: StoreFolder

    init(_ source: LiveSource, folder: StoreFolder) { (self.source, self.folder) = (source, folder) }

    /// - Parameter target: the path and query of the request.
    func page(for target: String) async -> Page {
        let path = target.prefix { $0 != "?" }
        do {
            switch path {
            case "/": return try await overview()
            case "/style.css": return Page(contentType: "text/css; charset=utf-8", body: Pages.style)
            case "/metrics":
                return Page(
                    contentType: PrometheusText.contentType, body: PrometheusText(try await source.state()).text)
            case "/healthz":
                _ = try await source.state()
                return .text("ok\n")
            default:
                guard path.hasPrefix("/requests/"), let id = EventID(path.dropFirst("/requests/".count)) else {
                    return .text("there is no such page\n", status: 404)
                }
                return try await request(id)
            }
        } catch {
            // Details of a failure are for the log of the stage, not for a browser.
            return .text("unable to answer: Redis or the log store cannot be read\n", status: 503)
        }
    }

    private func document(_ title: String, refreshes: Bool, _ body: HTML) -> Page {
        let refresh: HTML = refreshes ? "<meta http-equiv=\"refresh\" content=\"5\">" : ""
        let html: HTML = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title)</title>\
            <meta name="viewport" content="width=device-width">\(refresh)<link rel="stylesheet" href="/style.css"></head>
            <body>
            \(body)
            </body></html>

            """
        return Page(contentType: "text/html; charset=utf-8", body: html.source)
    }

    // MARK: The pipeline

    private func overview() async throws -> Page {
        let state = try await source.state()
        let figures = HTML(lines: TopTable(usesColors: false).lines(state))
        return document(
            "tgpipe: the live pipeline", refreshes: true,
            """
            <h1>The live pipeline</h1>
            <div class="graph">\(GraphPicture(PipelineGraph(state)).svg)</div>
            <pre>\(figures)</pre>
            <h2>Latest requests</h2>
            \(try await latestRequests())
            """)
    }

    private func latestRequests() async throws -> HTML {
        let folder = folder
        let lines = try await BlockingThread.oncePassingErrors { () -> [LoggedLine] in
            guard !folder.files().isEmpty else { return [] }
            var query = LogQuery()
            query.kind = .both
            return try LogReader(folder).last(Pages.mostLines, query).map(LoggedLine.init)
        }
        var requests: [(id: EventID, lines: [LoggedLine])] = []
        var places: [EventID: Int] = [:]
        for line in lines {
            guard let id = line.correlation else { continue }
            if let place = places[id] {
                requests[place].lines.append(line)
            } else {
                places[id] = requests.count
                requests.append((id, [line]))
            }
        }
        guard !requests.isEmpty else {
            return
                "<p>The log store has no request. See <code>ev-log run</code>, and set TGPIPE_LOG_DIR for all tools.</p>"
        }
        let rows: [HTML] = requests.suffix(Pages.latest).reversed().map { request in
            let tools = request.lines.reduce(into: [String]()) { if !$0.contains($1.tool) { $0.append($1.tool) } }
            let worst = request.lines.first { $0.isFailure } ?? request.lines.last
            return """
                <tr class="\(worst?.isFailure == true ? "failed" : "fine")"><td>\(request.lines.first?.clock ?? "")</td>\
                <td><a href="/requests/\(request.id.description)">\(request.id.description)</a></td>\
                <td>\(tools.joined(separator: " → "))</td><td>\(worst?.text ?? "")</td></tr>

                """
        }
        return
            "<table class=\"requests\"><thead><tr><th>first line</th><th>request</th><th>tools</th><th>last or failed line</th></tr></thead><tbody>\(rows)</tbody></table>"
    }

    // MARK: One request

    private func request(_ id: EventID) async throws -> Page {
        let folder = folder
        let picture = try await BlockingThread.oncePassingErrors { () -> HTML? in
            guard !folder.files().isEmpty else { return nil }
            return try RequestTrace(id, LogReader(folder), limit: Pages.mostLines).map { HTML(TraceHTML(trace: $0)) }
        }
        guard let picture else { return .text("the log store knows no such request\n", status: 404) }
        return document(
            "tgpipe: request \(id.description)", refreshes: false,
            """
            <p><a href="/">The live pipeline</a></p>
            <div class="trace">\(picture)</div>
            """)
    }

    private static let style = """
        body { font: 15px/1.5 system-ui, sans-serif; margin: 1.5rem; color: #1f2328; background: #fff; }
        h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; }
        .graph, .trace { overflow-x: auto; } pre { overflow-x: auto; background: #f6f8fa; padding: .8rem; }
        table { border-collapse: collapse; } td, th { text-align: left; padding: .15rem .7rem .15rem 0; vertical-align: top; }
        .requests td { overflow-wrap: anywhere; } .requests td:nth-child(-n+2) { white-space: nowrap; }
        .requests td:nth-child(3) { min-width: 12rem; } tr.failed { color: #b42318; }
        .graph text { font: 12px ui-monospace, monospace; fill: currentColor; } .graph text.name { font-weight: 600; }
        .graph text.label { text-anchor: middle; fill: #57606a; }
        .graph rect { fill: #eef6ff; stroke: #0b5cad; } g.queue rect { fill: #f3f0ff; stroke: #6941c6; }
        g.gone rect { fill: #fff; stroke: #b42318; stroke-dasharray: 4 3; } g.place rect, g.telegram rect { fill: #fff; stroke: #57606a; }
        .edge { fill: none; stroke: #57606a; stroke-width: 1.5; } .tip { fill: #57606a; }
        @media (prefers-color-scheme: dark) {
          body { color: #e6edf3; background: #0d1117; } pre { background: #161b22; } a { color: #79b8ff; }
          .graph rect, g.place rect, g.telegram rect, g.gone rect, g.queue rect { fill: #161b22; }
          tr.failed { color: #ff8a80; }
        }

        """ + TraceHTML.style
}

/// Describes a line or span of the store for a page.
private struct LoggedLine: Sendable {
    /// The time in microseconds since 1970.
    let time: Int64
    let correlation: EventID?
    let tool: String
    let text: String
    let isFailure: Bool

    init(_ stored: StoredLine) {
        let object = (try? JSON(parsing: stored.line))?.object ?? [:]
        time = stored.time
        correlation = object["correlation_id"]?.string.flatMap { EventID($0) }
        tool = object["tool"]?.string ?? "?"
        if stored.isSpan {
            text = LineView.spanText(object)
            isFailure = object["outcome"]?.string.map(HandlingWords.isFailure) ?? false
        } else {
            let notes = LineView.furtherValues(of: object).map { "\($0.key)=\($0.value)" }
            let message = object["message"]?.string ?? ""
            text = notes.isEmpty ? message : "\(message) (\(notes.joined(separator: " ")))"
            isFailure = stored.level >= LogLevel.error.rawValue
        }
    }

    var clock: String { Timestamp(microseconds: time).description }
}

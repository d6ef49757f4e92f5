import JSON
import Stage
import Testing

@Suite struct HeartbeatFormTests {
    @Test func `A heartbeat is read and written again as the same JSON`() throws {
        let text =
            #"{"tool":"tg-send","host":"h","pid":7,"version":"0.1.0","started":"2026-01-01T00:00:00.000000Z","in":5,"out":4,"#
            + #""failed":1,"dropped":2,"in_rate":0.5,"out_rate":0.25,"failed_rate":0.0,"in_flight":3,"p50_ms":1.5,"p99_ms":9.75,"#
            + #""memory_bytes":1048576,"waiting_for":"Telegram","waits":[{"name":"sendMessage","seconds":30.0}],"#
            + #""last_error":{"time":"2026-01-01T00:00:00.000000Z","message":"away"},"#
            + #""from":[{"kind":"queue","name":"send"}],"to":[{"kind":"pipe","id":"8:9","types":["a.#"]}]}"#
        let heartbeat = try #require(Heartbeat(try JSON(parsing: text)))
        #expect(JSON.object(heartbeat.json).text == text)
        #expect(heartbeat.to == [StageEndpoint(.pipe, "", id: "8:9", types: ["a.#"])])
    }

    @Test(arguments: [
        "{}", "[]", "null", #"{"tool":1,"host":"h","pid":1}"#, #"{"tool":"a","host":"h"}"#,
    ])
    func `Other values are no heartbeats`(_ text: String) throws {
        #expect(Heartbeat(try JSON(parsing: text)) == nil)
    }

    @Test func `Numbers of any size and parts of another form do no harm`() throws {
        let text =
            #"{"tool":"a","host":"h","pid":-9223372036854775808,"in":-5,"out":1e300,"in_rate":-1,"p99_ms":1e999,"#
            + #""memory_bytes":-1,"waits":[7,{"name":"x"}],"last_error":"x","from":[{"kind":"star"},null],"to":{}}"#
        let heartbeat = try #require(Heartbeat(try JSON(parsing: text)))
        #expect(heartbeat.counts.taken == 0 && heartbeat.counts.written == 0 && heartbeat.rates.taken == 0)
        #expect(heartbeat.p99Milliseconds == nil && heartbeat.memoryBytes == 0)
        #expect(heartbeat.waits.isEmpty && heartbeat.from.isEmpty && heartbeat.to.isEmpty)
    }
}

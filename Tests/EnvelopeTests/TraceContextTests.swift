import Envelope
import Testing

@Suite struct TraceContextTests {
    @Test func `A traceparent is read and written`() throws {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        let context = try #require(TraceContext(text))
        #expect(context.trace.description == "0af76519-16cd-43dd-8448-eb211c80319c")
        #expect(context.span == 0xb7ad_6b71_6920_3331 && context.isSampled)
        #expect(context.traceparent == text)
    }

    @Test func `A traceparent of a later version may be longer`() throws {
        let context = try #require(TraceContext("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00-what"))
        #expect(context.traceparent == "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
    }

    @Test(arguments: [
        "", "00", "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
    ])
    func `Other texts are no traceparent`(text: String) { #expect(TraceContext(text) == nil) }
}

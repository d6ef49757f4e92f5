import HTTP
import Testing

struct RetryAfterTests {
    private func pause(_ value: String) -> Duration? {
        HTTPHead(status: 429, headers: HTTPHeaders([("Retry-After", value)]), effectiveURL: "http://h/").retryAfter
    }

    @Test func `A pause is read in seconds`() {
        #expect(pause("5") == .seconds(5))
        #expect(pause("0") == .zero)
    }

    @Test(arguments: ["-1", "soon", "99999999999999999999"])
    func `Other values name no pause`(_ value: String) {
        #expect(pause(value) == nil)
    }

    @Test(arguments: ["9223372036854775807", "9999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"])
    func `A pause is a year at most`(_ value: String) {
        #expect(pause(value) == .seconds(365 * 86_400))
    }
}

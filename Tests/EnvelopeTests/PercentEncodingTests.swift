import JSON
import Testing

@Suite struct PercentEncodingTests {
    @Test func `Percent-encoding keeps only the characters that RFC 3986 leaves unreserved`() {
        #expect(percentEncoded("aZ09-._~ /+ü&") == "aZ09-._~%20%2F%2B%C3%BC%26")
        #expect(percentEncoded("a/b c", keeping: "/") == "a/b%20c")
        #expect(percentEncoded(bytes: [0, 255]) == "%00%FF")
    }

    @Test func `Decoding reverses percent-encoding and keeps broken escapes`() {
        #expect(percentDecoded("%41%c3%bc%20+") == "Aü +")
        #expect(percentDecoded("100%") == "100%")
        #expect(percentDecoded("%zz%4") == "%zz%4")
        #expect(percentDecoded("%ff") == nil)
        #expect(percentDecodedBytes("%ff") == [255])
    }

    @Test func `Strict decoding refuses broken escapes`() {
        #expect(strictlyPercentDecoded("p%40ss%3aw") == "p@ss:w")
        #expect(strictlyPercentDecoded("") == "")
        for broken in ["100%", "%4", "%zz", "%+1", "a%4%41", "%ff"] { #expect(strictlyPercentDecoded(broken) == nil) }
    }
}

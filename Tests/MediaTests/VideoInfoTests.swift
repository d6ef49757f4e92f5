import Envelope
import Testing

@testable import Media

@Suite struct VideoInfoTests {
    @Test func theOnlyVideoOfAPageIsNotNumbered() throws {
        #expect(try VideoInfo(["extractor": "html5", "title": "A clip (1)"]).title == "A clip")
        #expect(try VideoInfo(["extractor": "youtube", "title": "A clip (1)"]).title == "A clip (1)")
        #expect(try VideoInfo(["extractor": "html5", "title": " (1)"]).title == nil)
    }

    @Test func aListOfOneVideoIsThatVideo() throws {
        let list: JSONObject = ["_type": "playlist", "entries": [["title": "The only one"]]]
        #expect(try VideoInfo(list).title == "The only one")
    }

    @Test func aListOfSeveralIsRefused() throws {
        let list: JSONObject = ["_type": "playlist", "entries": [["title": "One"], ["title": "Two"]]]
        let error = #expect(throws: MediaError.self) { try VideoInfo(list) }
        #expect(error?.code == .playlist)
    }
}

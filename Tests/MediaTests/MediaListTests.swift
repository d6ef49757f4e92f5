import JSON
import Payloads
import Testing

@testable import Media

@Suite struct MediaListTests {
    private static let link = "https://example.com/list"

    private func list(_ text: String, _ first: Int64 = 1, _ last: Int64 = 5) throws -> MediaList? {
        let json = try #require(try JSON(parsing: text).object)
        return MediaList(json, of: Self.link, try #require(ItemRange(first, last)))
    }

    @Test func `Entries with links of their own are named by these, and others by their places`() throws {
        let list = try list(
            """
            {"_type": "playlist", "title": "L", "webpage_url": "https://example.com/other", "playlist_count": 40, "entries": [
              {"_type": "url", "url": "https://example.com/a", "title": "A\\nb"},
              {"_type": "url", "url": "dQw4w9WgXcQ", "playlist_index": 4},
              {"webpage_url": "https://example.com/list"}, {"webpage_url": "https://example.com/other"}, {}
            ]}
            """)
        let items = try #require(list?.items)
        #expect(items.map(\.url) == ["https://example.com/a", nil, nil, nil, nil])
        #expect(items.map(\.place) == [1, 4, 3, 4, 5])
        #expect(items[0].title == "A b" && list?.count == 40 && list?.title == "L")
    }

    @Test(arguments: [
        #"{"title": "one video"}"#, #"{"_type": "video", "formats": []}"#, #"{"entries": 7}"#,
    ])
    func `A single video is no list`(_ text: String) throws {
        #expect(try list(text) == nil)
    }

    @Test func `Numbers and entries that cannot be are left out`() throws {
        let list = try list(
            """
            {"playlist_count": -1, "entries": [null, 7, {"playlist_index": 0}, {"playlist_index": 9223372036854775807},
              {"_type": "url", "url": "file:///etc/passwd"}, {}, {}, {}, {}]}
            """, 1_000_000, 1_000_000)
        #expect(list?.items.isEmpty == true && list?.count == nil)
        let other = try self.list(#"{"entries": [{"_type": "url", "url": "file:///etc/passwd"}, {}, {}]}"#, 3, 4)
        let told = try self.list(#"{"entries": [{}, {}], "requested_entries": [3, 5]}"#, 3, 6)
        #expect(told?.items.map(\.place) == [3, 5])
        #expect(other?.items.map(\.url) == [nil, nil] && other?.items.map(\.place) == [3, 4])
    }

    @Test func `A page that leads to a list is that list, and the page of a channel leads to its first tab`() throws {
        let inner = #"{"_type": "url", "url": "https://www.youtube.com/@a/videos"}"#
        let list = try list(#"{"entries": [{"_type": "playlist", "entries": [\#(inner), {}]}]}"#)
        #expect(list?.items.count == 2)
        #expect(list?.firstList?.normalizedURL == "https://www.youtube.com/@a/videos")
        let video = try self.list(
            #"{"entries": [{"_type": "url", "url": "https://www.youtube.com/watch?v=dQw4w9WgXcQ"}, {}]}"#)
        #expect(video?.items.count == 2 && video?.firstList == nil)
    }

    @Test(arguments: [
        ("https://www.youtube.com/watch?v=dQw4w9WgXcQ", false), ("https://www.youtube.com/playlist?list=PLx", true),
        ("https://x.com/a/status/123", true), ("https://x.com/a/status/123/video/1", false),
        ("https://www.instagram.com/p/CuE2WpyNvGb/", true), ("https://www.instagram.com/stories/someone/", true),
        ("https://vimeo.com/12345", false),
        ("https://example.com/clip.MP4?x=1", false), ("https://example.com/clip.html", true),
        ("https://example.com/", true),
        ("https://example.com/live.m3u8", false),
    ])
    func `Only links that may lead to several videos are looked at`(_ link: String, _ may: Bool) throws {
        #expect(try #require(SourceIdentity(link)).mayLeadToSeveral == may)
    }
}

import Envelope
import JSON
import Options
import Testing

@testable import RateLimits

struct EventKeyValueTests {
    private func value(_ key: EventKey, payload: String = "{}", meta: String = "{}") throws -> String? {
        let text =
            #"{"id":"0192f0c1-2345-7abc-9def-000000000001","type":"a","correlation_id":"0192f0c1-2345-7abc-9def-0123456789ab","payload":\#(payload),"meta":\#(meta)}"#
        return key.value(in: try Envelope(try JSON(parsing: text)))
    }

    @Test func `the user is the actor, or else the sender of the update`() throws {
        let update = #"{"update_id":1,"message":{"from":{"id":7},"chat":{"id":-5}}}"#
        #expect(try value(.user, payload: update) == "7")
        #expect(try value(.user, payload: update, meta: #"{"actor":{"id":8}}"#) == "8")
        #expect(try value(.user, payload: #"{"callback_query":{"from":{"id":9}}}"#) == "9")
        #expect(try value(.user) == nil)
    }

    @Test func `the chat is the origin, or else the chat of the update`() throws {
        #expect(try value(.chat, payload: #"{"message":{"chat":{"id":-5}}}"#) == "-5")
        #expect(try value(.chat, payload: #"{"callback_query":{"message":{"chat":{"id":-6}}}}"#) == "-6")
        #expect(
            try value(.chat, payload: #"{"message":{"chat":{"id":-5}}}"#, meta: #"{"origin":{"chat_id":3}}"#) == "3")
        #expect(try value(.chat, payload: #"{"message":"text"}"#) == nil)
    }

    @Test func `a path leads to a field of the payload, of meta or of the envelope`() throws {
        #expect(try value(.path(["payload", "url"]), payload: #"{"url":"x"}"#) == "x")
        #expect(try value(.path(["payload", "a", "b"]), payload: #"{"a":{"b":[1]}}"#) == "[1]")
        #expect(try value(.path(["meta", "role"]), meta: #"{"role":"admin"}"#) == "admin")
        #expect(try value(.path(["type"])) == "a")
        #expect(try value(.path(["payload", "a", "b"]), payload: #"{"a":"text"}"#) == nil)
    }

    @Test func `a long value is counted under its hash`() throws {
        let text = String(repeating: "x", count: 200)
        #expect(try value(.path(["payload", "x"]), payload: #"{"x":"\#(text)"}"#) == text)
        let hashed = try value(.path(["payload", "x"]), payload: #"{"x":"\#(text)y"}"#)
        #expect(hashed?.hasPrefix("sha256:") == true && hashed?.utf8.count == 71)
        #expect(try value(.path(["payload", "x"]), payload: #"{"x":"\#(text)z"}"#) != hashed)
    }
}

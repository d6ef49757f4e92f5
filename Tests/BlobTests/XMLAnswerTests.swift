@testable import Blob
import BotAPI
import Testing

@Suite struct XMLAnswerTests {
    private func answer(_ text: String) -> XMLAnswer { XMLAnswer(Array(text.utf8)) }

    @Test func `Elements are found by name`() {
        let xml = answer(
            "<?xml version='1.0'?>\n<Error><Code>NoSuchKey</Code><Message>a &lt; b &amp;&#x20;c</Message></Error>")
        #expect(xml.text("Code") == "NoSuchKey")
        #expect(xml.text("Message") == "a < b & c")
        #expect(xml.text("Region") == nil)
        #expect(xml.isRoot("Error"))
        #expect(!xml.isRoot("Err"))
    }

    @Test func `A root element may have a namespace or follow a comment`() {
        #expect(answer("<!-- x --><Error xmlns=\"y\"><Code>A</Code></Error>").isRoot("Error"))
        #expect(answer("   \n<Error/>").isRoot("Error"))
        #expect(!answer("<Result><Error>x</Error></Result>").isRoot("Error"))
    }

    @Test(arguments: [
        "", "<", "<Code", "<Code>", "<Code>x", "<Code>x<", "<Code>x</Co", "<Code><b>x</b></Code>", "not xml", "<<<>>>",
        "<Code>" + String(repeating: "x", count: 5000) + "</Code>",
    ])
    func `Malformed responses contain no elements`(_ text: String) {
        #expect(answer(text).text("Code") == nil)
        #expect(!answer(text).isRoot("Error"))
    }

    @Test func `Only predefined entities and character references are decoded`() {
        let bomb =
            "<!DOCTYPE x [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;\">]><Error><Code>&b;&lt;&#1114112;&;&#x41;</Code></Error>"
        #expect(answer(bomb).text("Code") == "&b;<&#1114112;&;A")
    }

    @Test func `Escaped text is read back unchanged`() {
        #expect(answer("<ETag>\(XMLAnswer.escaped("\"a<b>&c\""))</ETag>").text("ETag") == "\"a<b>&c\"")
    }
}

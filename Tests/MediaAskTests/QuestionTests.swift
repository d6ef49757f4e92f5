import JSON
import Payloads
import Testing
import Texts

@testable import Media
@testable import media_ask

@Suite struct QuestionTests {
    private func choices(_ json: String) throws -> MediaChoices {
        MediaChoices(try VideoInfo(try #require(try JSON(parsing: json).object)))
    }

    private let film = """
        {"title": "Film", "duration": 100, "subtitles": {"en": [], "de": [], "fr": [], "live_chat": []}, "formats": [
          {"vcodec": "none", "acodec": "mp4a", "filesize": 2000000},
          {"vcodec": "avc1", "acodec": "none", "width": 1920, "height": 1080, "filesize": 70000000},
          {"vcodec": "avc1", "acodec": "none", "width": 720, "height": 1280, "tbr": 800},
          {"vcodec": "vp9", "acodec": "none", "width": 1280, "height": 720, "filesize_approx": 30000000.5},
          {"vcodec": "avc1", "acodec": "mp4a", "width": 640, "height": 360},
          {"vcodec": "none", "acodec": "none", "width": 48, "height": 27}
        ]}
        """

    @Test func `The forms have the sizes of picture and sound together`() throws {
        let found = try choices(film)
        #expect(found.pictures.map(\.height) == [1080, 720, 360])
        #expect(found.pictures.map(\.sizeBytes) == [72_000_000, 32_000_000, nil])
        #expect(found.soundBytes == 2_000_000 && found.hasSound && found.title == "Film")
        #expect(found.subtitles == ["de", "en", "fr"])
    }

    @Test(
        arguments: [
            (nil, nil, nil), (100_000_000, nil, nil), (50_000_000, nil, 720), (32_000_000, nil, 720),
            (31_999_999, nil, nil),
            (50_000_000, 720, 720), (50_000_000, 480, nil),
        ] as [(Int64?, Int64?, Int64?)])
    func `The largest picture that fits a limit is known before the download`(
        _ limit: Int64?, _ wanted: Int64?, _ height: Int64?
    ) throws {
        var json = try #require(try JSON(parsing: film).object)
        json["filesize"] = 72_000_000
        let picture = try VideoInfo(json).picture(upTo: limit, MediaVariant(maxHeight: wanted))
        #expect(picture?.height == height)
    }

    @Test func `Hostile descriptions make no trap`() throws {
        let found = try choices(
            """
            {"duration": 1e308, "formats": [{"height": 720, "tbr": 1e308}, {"height": -5, "filesize": -1}, 7,
              {"height": 9223372036854775807, "width": 1}, {"height": 480, "filesize": 9223372036854775807}]}
            """)
        #expect(found.pictures.map(\.height) == [720, 480])
        #expect(try choices("{}").pictures.isEmpty)
    }

    @Test func `The first option is the best, and what does not fit is marked`() throws {
        let question = Question(texts: Texts(), language: "de", limitBytes: 50_000_000)
        let rows = question.rows(try choices(film), .standard)
        #expect(
            rows.map { $0.map(\.label) } == [
                ["Beste Qualität"], ["⚠️ 1080p · 72.0 MB", "720p · 32.0 MB"], ["360p"], ["🎵 Ton · 2.0 MB", "💬 de"],
                ["💬 en", "💬 fr"], ["💬 de, im Bild", "📄 Als Datei"],
            ])
        let options = rows.flatMap { $0 }
        #expect(options[0].form.variant.isStandard && options[0].form.kind == .video)
        #expect(options[2].form.variant == MediaVariant(maxHeight: 720))
        #expect(options[4].form.kind == .audio)
        #expect(options[5].form.variant == MediaVariant(subtitles: "de"))
        #expect(options.map(\.form.isFile) == Array(repeating: false, count: 9) + [true])
        #expect(options[8].form.variant == MediaVariant(subtitles: "de", burnsSubtitles: true))
    }

    @Test(arguments: [nil, .opus, .m4a, .mp3] as [MediaVariant.AudioFormat?])
    func `Sound is offered in the format that the person prefers`(_ preferred: MediaVariant.AudioFormat?) throws {
        let question = Question(texts: Texts(), language: nil, limitBytes: nil)
        let forms = question.rows(try choices(film), .standard, sound: preferred).joined().map(\.form)
        let sound = try #require(forms.first { $0.kind == .audio })
        #expect(sound.variant == MediaVariant(audioFormat: preferred).of(.audio))
    }

    @Test func `A file that was chosen already is not offered again`() throws {
        let question = Question(texts: Texts(), language: nil, limitBytes: nil)
        #expect(!question.rows(try choices(film), .standard, offersFile: false).joined().contains { $0.form.isFile })
    }

    @Test func `Where there is nothing to choose from, a file is no choice either`() throws {
        let question = Question(texts: Texts(), language: nil, limitBytes: nil)
        let silent = try choices(#"{"formats": [{"vcodec": "avc1", "acodec": "none"}]}"#)
        #expect(question.rows(silent, .standard).map { $0.map(\.label) } == [["Best quality"]])
    }

    @Test func `A long title is cut, so that the options behind it are seen`() {
        #expect(Question.heading(String(repeating: "ä", count: 300)).utf16.count == 201)
        #expect(Question.heading("A film") == "A film\n" && Question.heading(nil) == "")
    }

    @Test func `What the person has chosen already stays`() throws {
        let cut = MediaVariant.Cut(start: 1000, end: 2000)
        let rows = Question(texts: Texts(), language: nil, limitBytes: nil)
            .rows(try choices(film), MediaVariant(cut: cut))
        #expect(rows.flatMap { $0 }.allSatisfy { $0.form.variant.cut == cut })
    }
}

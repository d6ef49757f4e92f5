/// Of all tools; the changelog's newest entry.
package let tgpipeVersion = "0.1.0"

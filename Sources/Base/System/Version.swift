/// The version of all tools, which is that of the changelog's newest entry.
package let tgpipeVersion = "0.2.0"

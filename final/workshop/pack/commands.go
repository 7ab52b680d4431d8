package pack

import "strings"

// Commands returns how to unpack and use the archive of that name, for sh and for
// PowerShell.
func Commands(name string) string {
	if strings.ContainsAny(name, " &();'$") {
		name = "'" + strings.ReplaceAll(name, "'", "") + "'" // which sh and PowerShell read alike
	}
	sh, power := "unzip -q "+name, "Expand-Archive "+name+" ."
	if kindOf(name) == ".tar.gz" {
		sh, power = "tar -xzf "+name, "tar -xzf "+name
	}
	return strings.NewReplacer("UNPACK-SH", sh, "UNPACK-POWER", power, "FOLDER", Folder, "MODULES", Modules, "BOOK", Book, "SETTINGS", settings).Replace(commands)
}

// settings keep the go command from asking anybody: go.sum has the sums of all
// that is built, and a Go that is too old says so.
const settings = "GOSUMDB=off GOTOOLCHAIN=local"

const commands = `# RPC from scratch, without a network

It needs Go 1.26 or later, and nothing else. One command unpacks, one tells Go where the modules are.

Linux, macOS:

    UNPACK-SH && cd FOLDER
    go env -w "GOPROXY=file://$PWD/MODULES" SETTINGS

Windows, in PowerShell:

    UNPACK-POWER; cd FOLDER
    go env -w "GOPROXY=file:///$($PWD.Path.Replace('\','/'))/MODULES" SETTINGS

Then look whether all is well:

    go tool workshop doctor

The course as pages, for a browser: BOOK/index.html.

Go remembers these settings, for editors too. This takes them back:

    go env -u GOPROXY GOSUMDB GOTOOLCHAIN
`

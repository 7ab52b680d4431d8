// Package museum keeps the rooms of the bug museum true: see README.md.
package museum

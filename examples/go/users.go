package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
)

// Replace this with your own table of users, and the hash below with golang.org/x/crypto/bcrypt or, from Go 1.24 on,
// crypto/pbkdf2. This example uses only the standard library of Go 1.19.
var accounts = map[string]struct {
	role     string
	password passwordHash
}{
	"alice": {"admin", passwordHash{"YqdxkJ9sBLFOfjSj", "0e5dcf2c66e01359b09747006e87711cb8e9e7cce344b8cf2caac82ddb8105d9"}},
	"bob":   {"user", passwordHash{"XqW2QLQLJ87rpH2S", "aaee6f9f90fbf459009ee79c997225c5471e0821ab21dbb04cfd6d632cb39152"}},
}

type passwordHash struct{ salt, hash string }

const iterations = 600_000

func (p passwordHash) matches(password string) bool {
	hash := hex.EncodeToString(pbkdf2(password, p.salt))
	return subtle.ConstantTimeCompare([]byte(hash), []byte(p.hash)) == 1
}

// pbkdf2 returns the first block of PBKDF2 with HMAC-SHA-256 (RFC 8018 §5.2).
func pbkdf2(password, salt string) []byte {
	mac := hmac.New(sha256.New, []byte(password))
	mac.Write([]byte(salt))
	mac.Write([]byte{0, 0, 0, 1})
	round := mac.Sum(nil)
	block := append([]byte(nil), round...)
	for i := 1; i < iterations; i++ {
		mac.Reset()
		mac.Write(round)
		round = mac.Sum(round[:0])
		for j := range block {
			block[j] ^= round[j]
		}
	}
	return block
}

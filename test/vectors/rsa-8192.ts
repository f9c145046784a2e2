/** The primes of a key from `openssl genrsa 8192` (OpenSSL 3.0), as base64url. Generating one takes up to a minute. */
export const RSA_8192 = {
  p:
    '1c-d3OrFmHWx9j4Mkll-' +
    't2f2rN9VmdAJRjpUBFYb5FXRB6e54oTSXVSph8yLOnkPbkEnUMY4W6gpS5X_mJ2W' +
    'MK889hh0iHyC2XBZ1oKKUmK92LhV25EVHMKo3MaNaZ_fd1WEzd2mJofxo-' +
    'qWZadS020pdCryKyX76_wDYhOu--pcHz1tRYLli-v-fak_oPOURzSU3GZD3ZiuUA' +
    'm52Fy2MtxbAlS7ABvwY8RxGIBtocdTgxAV2Pml71AX-' +
    'T92jKv7y2EuPMPKemp91wKUWvbBjdN4B6ikmsdt33PcnWalQ8F9nZrqSReS4E8U5' +
    '1crQxbiq0-' +
    'sktD3E01Nkjuzu2cuaZiJpAyGu1kDaVJbDrdjKsMV1mM6DaY0bjaITV89qzVQV7f' +
    'OmhV5Z940cJlr8U0GmEJNzIWFzuXEbbtPe0zXAup4X_Okl83Fv44siN-' +
    '5YnZHryp_8G6x2TMdlUXA3LbeHBa4J5b7WfhR81kpv17Eyq0Z-' +
    '0eA6n7Mze9kzpl81L4FZCQP6K7npIIK0G3-' +
    'CXrQP81rnu4tMFz__e1ngB2WWGTpIPWb0RVrZpE_MqfQVjsCpN9gVJdNG3Wf3nwG' +
    'ilxBef3PwiR5FqkIZhRpfQERlQbCr3TpxZqgUhWcXucoxvd-' +
    'oizIGLWk1o_BnEWuCMDZyzs5zwOHFtIOMbsp33GegIc',
  q:
    'wlpTzIffwkMNCZmkoevPbsrFY6W7tc6kMOCffzRpF6EbzWr8boQZNMu90JV1W3yi' +
    'Z1Q72X-9BsmbPKOYR0BBUMZWPf3gkYa_IFQIyyAy4CD62-HPRcIgybn-' +
    '2dejMTpmO7dcnmowTrTCWFbckPWv23nGJcOxZ_40tbBUW9AP_Bf3kL4mnm1FOU50' +
    'zVM1EhabMdBpMlHI_y14zlFzRV09_sk206lcyG2pqrdAmQHzR9OcIiRPDqiVMyih' +
    'eQH_OJQUTZyo7hkA2R4ktfKMnpiERd7YJrJWFZxZHMB9wEZRjjHQQ63dqxp7JPgZ' +
    '_TxWfcLIk96x2AlCpoHZ66PGkVDpgIITzxToLWFfP9JtRP9UiHMaKVcVj-xbyeVQ' +
    '0iWkrum8bdszOZVIgPqasrQ1l9Fl_X2mTrlbg3xpS4OGqrthtXj8-' +
    'UR8ycPpgEFG9b15A4rikVLNaGEMJPKFzrzuua05hc_m92jpYqTsG7wiA4DLPohso' +
    '0nMCDneV2l4xlNwU0ttitNvtyBdPj5meGqIEXiVEMY0lmVHzEOLt02jcbzSx065I' +
    'Nq5cXQLaEZHav0isiYvZP5cE3m20IjwLd7dtiZveg7L4GHQ7c3QZgzNj5K21KJCs' +
    'oLapMiW7S5pZprSP_rFf6iX9whU6GKOy4sZnZJCpv_Y-50ZfJNr5XBFAFCY2kU',
};
